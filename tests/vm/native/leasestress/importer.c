// SPDX-License-Identifier: Apache-2.0
// Importers of buffers, by the lab's own module: each thread has one. What it has mapped must be gone when the end of the buffer is reported.
#define _GNU_SOURCE
#include "stress.h"

#include "../../importer/barbroker_importer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NODE "/dev/barbroker-importer"

static __thread int importer = -1;
static __thread struct buffer *attached;
static __thread unsigned told;

bool importer_is_there(void) { return access(NODE, R_OK | W_OK) == 0; }

static void open_importer(void)
{
    if (importer >= 0)
        return;
    importer = open(NODE, O_RDWR | O_CLOEXEC);
    if (importer < 0)
        broken("open %s: %s", NODE, strerror(errno));
}

// What an end or an absence of memory explains.
static void refused(const struct buffer *buffer, struct moment moment, const char *what)
{
    if (errno != ENODEV)
        violation(buffer, "%s: %s", what, strerror(errno));
    if (is_ending(buffer))
        count(IMPORT_REFUSED);
    else if (!may_be_away(buffer, moment))
        violation(buffer, "%s refused though the buffer is live", what);
}

static void attach(struct buffer *buffer, int fd)
{
    struct barbroker_importer_attach call = { .dmabuf_fd = fd };
    struct moment moment = moment_now(buffer);
    if (ioctl(importer, BARBROKER_IMPORTER_ATTACH, &call)) {
        refused(buffer, moment, "attach");
        return;
    }
    if (must_be_over(buffer, moment))
        violation(buffer, "attached after it was over");
    attached = buffer;
    told = 0;
    count(ATTACH);
}

static void set_mode(__u32 mode, __u32 delay_ms)
{
    struct barbroker_importer_mode call = { mode, delay_ms };
    if (ioctl(importer, BARBROKER_IMPORTER_MODE, &call))
        broken("importer, MODE: %s", strerror(errno));
}

static void map(void)
{
    struct moment moment = moment_now(attached);
    if (ioctl(importer, BARBROKER_IMPORTER_MAP)) {
        // EBUSY: is mapped already. EADDRINUSE: some kernels cannot map several ranges.
        if (errno != EBUSY && errno != EADDRINUSE)
            refused(attached, moment, "map by an importer");
        return;
    }
    if (must_be_over(attached, moment))
        violation(attached, "mapped by an importer after it was over");
    count(IMPORT);
}

static bool look(void)
{
    struct barbroker_importer_status status;
    struct moment moment = moment_now(attached);
    if (ioctl(importer, BARBROKER_IMPORTER_STATUS, &status))
        broken("importer, STATUS: %s", strerror(errno));
    if (status.mapped && must_be_over(attached, moment))
        violation(attached, "an importer has it mapped though it is over");
    if (status.told != told)
        count(TOLD);
    told = status.told;
    return status.mapped;
}

static void unmap(void)
{
    if (ioctl(importer, BARBROKER_IMPORTER_UNMAP))
        broken("importer, UNMAP: %s", strerror(errno));
    count(LET_GO);
}

static void detach(void)
{
    if (ioctl(importer, BARBROKER_IMPORTER_DETACH))
        broken("importer, DETACH: %s", strerror(errno));
    attached = NULL;
}

// Keeps what it has mapped for a while whatever it is told. In one go: a thread that waits in a fault for the end of a reset must not be the one
// that the reset waits for.
static void hold(uint64_t *random)
{
    set_mode(BARBROKER_IMPORTER_HOLD, 0);
    map();
    pause_randomly(random, 10000);
    look();
    unmap();
    set_mode(BARBROKER_IMPORTER_AT_ONCE, 0);
}

// The device itself reads, which takes a fifth of a second.
static void read_by_device(uint64_t *random)
{
    uint64_t got = 0;
    unsigned page = below(random, attached->pages);
    map();
    struct barbroker_importer_dma call = { .offset = (__u64)page * PAGE, .user = (uintptr_t)&got, .length = sizeof got };
    struct moment moment = moment_now(attached);
    if (ioctl(importer, BARBROKER_IMPORTER_DMA, &call)) {
        if (errno != ENOTCONN)
            violation(attached, "DMA: %s", strerror(errno));
        return;
    }
    if (must_be_over(attached, moment))
        violation(attached, "DMA after it was over");
    count(DMA_READ);
    if (is_ending(attached) || may_be_away(attached, moment))
        return;
    if (got != word_of(attached, page, 0))
        violation(attached, "DMA of page %u, begun at %.6f s, saw 0x%016llx", page, (double)(moment.begin - shared->begin) / 1e9, (unsigned long long)got);
}

// One step: with the buffer that this thread's importer has, or with a new one.
void import_randomly(struct buffer *buffer, int fd, uint64_t *random)
{
    unsigned what = below(random, 100);
    open_importer();
    if (!attached)
        attach(buffer, fd);
    if (!attached)
        return;
    if (what < 30)
        map();
    else if (what < 40)
        set_mode(below(random, 2) ? BARBROKER_IMPORTER_AT_ONCE : BARBROKER_IMPORTER_LATE, below(random, 20));
    else if (what < 58)
        look();
    else if (what < 66)
        unmap();
    else if (what < 76)
        hold(random);
    else if (what < 88)
        read_by_device(random);
    else if (what < 92 || is_ending(attached))
        detach();
}
