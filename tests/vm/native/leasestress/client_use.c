// SPDX-License-Identifier: Apache-2.0
// What reads and writes a buffer without changing what the process has of it.
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mapping *pick(struct holding *holding, uint64_t *random)
{
    return holding->count ? &holding->mappings[below(random, holding->count)] : NULL;
}

static enum verdict use(struct holding *holding, struct mapping *mapping, unsigned page, unsigned word, enum way way)
{
    if (!mapping->writable && way == WRITE_WORD)
        way = READ_WORD;
    if (!mapping->writable && way == COPY_IN)
        way = COPY_OUT;
    enum verdict verdict = touch(holding->buffer, mapping->at + (size_t)page * PAGE, mapping->first + page, word, way);
    if (verdict == AWAY)
        atomic_store(&mapping->was_away, true);
    else if (verdict == GOOD && atomic_exchange(&mapping->was_away, false))
        count(CAME_BACK);
    return verdict;
}

void use_word(struct holding *holding, uint64_t *random)
{
    static const enum kind kinds[] = { READ, WRITE, COPY_FROM, COPY_TO };
    struct mapping *mapping = pick(holding, random);
    enum way way = below(random, 4);
    if (!mapping)
        return;
    use(holding, mapping, below(random, mapping->pages), 511 * below(random, 2), way);
    count(kinds[way]);
}

void use_scan(struct holding *holding, uint64_t *random)
{
    struct mapping *mapping = pick(holding, random);
    if (!mapping || mapping->pages < 2)
        return;
    unsigned step = 1 + below(random, 3);
    for (unsigned page = 0; page < mapping->pages; page += step)
        if (use(holding, mapping, page, 511 * below(random, 2), READ_WORD) == OVER)
            break;
    count(SCAN);
}

// As fast as it can, so that the end comes in the midst of it; then a little longer.
void use_hammer(struct holding *holding, uint64_t *random)
{
    struct mapping *mapping = pick(holding, random);
    uint64_t end = now() + 4000000;
    int over = 0;
    if (!mapping)
        return;
    while (over < 20 && now() < end)
        over += use(holding, mapping, below(random, mapping->pages), 0, below(random, 4) ? READ_WORD : WRITE_WORD) == OVER;
    count(HAMMER);
}

__attribute__((noreturn)) static void be_child(struct holding *holding, uint64_t *random)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned uses = 1 + below(random, 20);
    bool bus = false;
    for (unsigned i = 0; i < uses && holding->count; i++) {
        struct mapping *mapping = pick(holding, random);
        if (below(random, 20) == 0 && mapping->pages > 1) {
            munmap(mapping->at + (size_t)--mapping->pages * PAGE, PAGE);
            continue;
        }
        bus |= use(holding, mapping, below(random, mapping->pages), 0, below(random, 3) ? READ_WORD : WRITE_WORD) != GOOD;
        pause_randomly(random, 3000);
    }
    if (bus)
        count(CHILD_SIGBUS);
    _exit(0);
}

// The caller's lock for read keeps the holding as it is while it is copied; the child looks at no other.
void use_fork(struct holding *holding, uint64_t *random)
{
    int status;
    uint64_t seed = next_random(random);
    pid_t child = fork();
    if (child < 0)
        broken("fork: %s", strerror(errno));
    if (child == 0)
        be_child(holding, &seed);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            broken("waitpid: %s", strerror(errno));
    if (status && !atomic_load(&shared->failed))
        broken("a forked child ended with wait status 0x%x", status);
    count(FORK);
}

// None of these may take anything away from a mapping of device memory, nor give it anything. Most are refused; what they must not do is to take
// the device's pages for RAM.
void use_advise(struct holding *holding, uint64_t *random)
{
    static const int advices[] = { MADV_DONTNEED, MADV_WILLNEED,      MADV_RANDOM,         MADV_NORMAL, MADV_COLD,     MADV_PAGEOUT,     MADV_HUGEPAGE,
                                   MADV_FREE,     MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_REMOVE, MADV_MERGEABLE, 25 /* MADV_COLLAPSE */ };
    struct mapping *mapping = pick(holding, random);
    if (!mapping)
        return;
    size_t length = (size_t)mapping->pages * PAGE;
    if (below(random, 8)) {
        madvise(mapping->at, length, advices[below(random, sizeof advices / sizeof *advices)]);
    } else {
        mlock(mapping->at, length);
        munlock(mapping->at, length);
    }
    count(ADVISE);
    use(holding, mapping, below(random, mapping->pages), 0, READ_WORD);
}

static void read_all(const char *path)
{
    static __thread char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        broken("open %s: %s", path, strerror(errno));
    while (read(fd, text, sizeof text) > 0)
        ;
    close(fd);
}

static void read_pagemap(const struct mapping *mapping)
{
    uint64_t entries[512];
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        broken("open /proc/self/pagemap: %s", strerror(errno));
    for (unsigned page = 0; page < mapping->pages; page += 512)
        if (pread(fd, entries, sizeof entries, (off_t)(((uintptr_t)mapping->at / PAGE + page) * sizeof *entries)) < 0)
            break;
    close(fd);
}

static void clear_refs(const char *what)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, what, 1) < 0 && errno != EINVAL)
        broken("clear_refs: %s", strerror(errno));
    close(fd);
}

// By what walks page tables and asks which pages are there.
void use_look(struct holding *holding, uint64_t *random)
{
    struct mapping *mapping = pick(holding, random);
    if (!mapping)
        return;
    unsigned what = below(random, 100);
    unsigned char present[2048];
    void *page = mapping->at + (size_t)below(random, mapping->pages) * PAGE;
    int status;
    use(holding, mapping, 0, 0, READ_WORD);
    if (what < 40)
        read_pagemap(mapping);
    else if (what < 70)
        mincore(mapping->at, (mapping->pages < sizeof present ? mapping->pages : sizeof present) * PAGE, present);
    else if (what < 90)
        syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0);
    else if (what < 95)
        read_all(below(random, 2) ? "/proc/self/smaps" : "/proc/self/smaps_rollup");
    else
        clear_refs(below(random, 2) ? "1" : "4");
    count(LOOK);
}
