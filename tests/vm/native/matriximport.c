// SPDX-License-Identifier: Apache-2.0
// Holds a buffer by having the lab's importing device map it, which then reads and writes it by DMA; see hold.h.
//
// What it says of an access that has ended: "told", when the importer was told to let go, has no mapping, and does not read the bytes at the old address either
// (where another importer's mapping may be by then, so this is only for buffers of which none is live).
#define _GNU_SOURCE
#include "hold.h"

#include "../importer/barbroker_importer.h"

#include <sys/ioctl.h>

static const char *const how_reached = "map";

static int importer = -1;

static int attach(int fd)
{
    struct barbroker_importer_attach attach = { .dmabuf_fd = fd };
    int fresh = open("/dev/barbroker-importer", O_RDWR | O_CLOEXEC);
    if (fresh < 0)
        give_up("open /dev/barbroker-importer");
    if (ioctl(fresh, BARBROKER_IMPORTER_ATTACH, &attach)) {
        int error = errno;
        close(fresh);
        return error;
    }
    importer = fresh;
    return 0;
}

// Whoever has lost the mapping maps again by the attachment that there is.
static int reach(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);
    if (length <= 0)
        return length ? errno : ENODATA;
    size = (size_t)length;
    int error = importer < 0 ? attach(fd) : 0;
    if (error)
        return error;
    if (!ioctl(importer, BARBROKER_IMPORTER_MAP))
        return 0;
    error = errno;
    if (!reached)
        leave();
    return error;
}

static void leave(void)
{
    close(importer);
    importer = -1;
}

// What is moved at once. QEMU's device does not take 4096 bytes, and takes 100 ms each time: of large buffers only the ends and the middle are looked at.
enum { PIECE_WORDS = 256, PIECE = PIECE_WORDS * sizeof(uint64_t), WHOLE_BUFFER = 4 };

static size_t pieces(void) { return size / PIECE; }

static size_t step(void) { return pieces() <= WHOLE_BUFFER ? 1 : (pieces() - 1) / 2; }

// One piece, between the buffer and the words. 0 or the error.
static int dma(size_t piece, uint64_t *words, uint32_t flags)
{
    struct barbroker_importer_dma dma = { .offset = piece * PIECE, .user = (uintptr_t)words, .length = PIECE, .flags = flags };
    return ioctl(importer, BARBROKER_IMPORTER_DMA, &dma) ? errno : 0;
}

// How many words of the piece are the pattern's.
static size_t matching(const uint64_t *words, size_t piece, uint64_t seed)
{
    size_t count = 0;
    for (size_t i = 0; i < PIECE_WORDS; i++)
        count += words[i] == word(seed, piece * PIECE_WORDS + i);
    return count;
}

static const char *look_after_end(uint64_t seed, uint32_t times)
{
    uint64_t words[PIECE_WORDS] = { 0 };
    int error = dma(0, words, 0);
    if (error != ENOTCONN)
        return told("broken: unmapped, and DMA gives %s", strerrorname_np(error));
    dma(0, words, BARBROKER_IMPORTER_STALE);
    if (matching(words, 0, seed))
        return "broken: unmapped, and DMA to the old address still reads the bytes";
    return times ? "told" : "broken: unmapped without being told";
}

static const char *look(uint64_t seed)
{
    struct barbroker_importer_status status;
    if (ioctl(importer, BARBROKER_IMPORTER_STATUS, &status))
        give_up("BARBROKER_IMPORTER_STATUS");
    if (!status.mapped)
        return look_after_end(seed, status.told);
    for (size_t piece = 0; piece < pieces(); piece += step()) {
        uint64_t words[PIECE_WORDS] = { 0 };
        int error = dma(piece, words, 0);
        if (error)
            return told("broken: DMA from piece %zu gives %s", piece, strerrorname_np(error));
        if (matching(words, piece, seed) != PIECE_WORDS)
            return told("broken: piece %zu of %zu has other bytes", piece, pieces());
    }
    return "live";
}

static const char *fill(uint64_t seed)
{
    for (size_t piece = 0; piece < pieces(); piece += step()) {
        uint64_t words[PIECE_WORDS];
        for (size_t i = 0; i < PIECE_WORDS; i++)
            words[i] = word(seed, piece * PIECE_WORDS + i);
        int error = dma(piece, words, BARBROKER_IMPORTER_TO_BUFFER);
        if (error)
            return told("broken: DMA to piece %zu gives %s", piece, strerrorname_np(error));
    }
    return "done";
}

static const char *verify(uint64_t seed)
{
    const char *seen = look(seed);
    return strcmp(seen, "live") ? seen : "intact";
}
