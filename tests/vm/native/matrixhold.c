// SPDX-License-Identifier: Apache-2.0
// Holds a buffer by mapping it; see hold.h.
#define _GNU_SOURCE
#include "hold.h"

#include <setjmp.h>
#include <sys/mman.h>

enum { PAGE = 4096, WORDS = PAGE / sizeof(uint64_t) };

static const char *const how_reached = "mmap";

static volatile uint64_t *memory;
static sigjmp_buf after_fault;
static volatile sig_atomic_t fault;

static void on_fault(int signal)
{
    fault = signal;
    siglongjmp(after_fault, 1);
}

static size_t pages(void) { return size / PAGE; }

static int reach(int fd)
{
    struct sigaction action = { .sa_handler = on_fault };
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    off_t length = lseek(fd, 0, SEEK_END);
    if (length <= 0)
        return length ? errno : ENODATA;
    void *at = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return errno;
    memory = at;
    size = (size_t)length;
    return 0;
}

static void leave(void) { munmap((void *)memory, size); }

// Reads, or writes *VALUE. False when the access raised a signal, which is in FAULT.
static int touch(size_t index, uint64_t *value, int write)
{
    fault = 0;
    if (sigsetjmp(after_fault, 1))
        return 0;
    if (write)
        memory[index] = *value;
    else
        *value = memory[index];
    return 1;
}

static const char *look(uint64_t seed)
{
    size_t live = 0, dead = 0;
    for (size_t page = 0; page < pages(); page++) {
        size_t index = page * WORDS + page % WORDS;
        uint64_t wanted = word(seed, index), got = 0;
        int read = touch(index, &got, 0);
        if (read && got != wanted)
            return told("broken: page %zu of %zu has 0x%" PRIx64 ", wanted 0x%" PRIx64, page, pages(), got, wanted);
        if (!read && fault != SIGBUS)
            return told("broken: page %zu of %zu raised %s", page, pages(), strsignal(fault));
        // The word that is there: it harms nobody if the page is what it should be.
        int written = touch(index, &wanted, 1);
        live += read || written;
        dead += !read && !written && fault == SIGBUS;
    }
    if (live + dead == pages() && (!live || !dead))
        return live ? "live" : "SIGBUS";
    return told("broken: %zu pages of %zu are live, %zu raise SIGBUS", live, pages(), dead);
}

static const char *fill(uint64_t seed)
{
    for (size_t index = 0; index < pages() * WORDS; index++) {
        uint64_t value = word(seed, index);
        if (!touch(index, &value, 1))
            return told("broken: writing word %zu raised %s", index, strsignal(fault));
    }
    return "done";
}

static const char *verify(uint64_t seed)
{
    for (size_t index = 0; index < pages() * WORDS; index++) {
        uint64_t value = 0, wanted = word(seed, index);
        if (!touch(index, &value, 0))
            return told("reading word %zu raised %s", index, strsignal(fault));
        if (value != wanted)
            return told("word %zu is 0x%" PRIx64 ", wanted 0x%" PRIx64, index, value, wanted);
    }
    return "intact";
}
