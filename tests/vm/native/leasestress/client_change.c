// SPDX-License-Identifier: Apache-2.0
// What changes what the process has of a buffer: fds and mappings.
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void hold_take(struct holding *holding, uint64_t *random)
{
    unsigned from = below(random, shared->device_count + 1), number;
    int fd = receive_fd(sockets[from == shared->device_count ? POOL : from].out, &number);
    if (fd < 0)
        return;
    holding->buffer = &shared->buffers[number];
    holding->fd = fd;
    holding->count = 0;
    if (lseek(fd, 0, SEEK_END) != (off_t)holding->buffer->pages * PAGE)
        violation(holding->buffer, "its fd says that it has %lld bytes", (long long)lseek(fd, 0, SEEK_END));
    count(TAKE);
}

static void map_private(const struct holding *holding)
{
    if (mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, holding->fd, 0) != MAP_FAILED)
        violation(holding->buffer, "a private mmap was not refused");
    // ENODEV if it looks at the end first.
    if (errno != EINVAL && !(errno == ENODEV && is_ending(holding->buffer)))
        violation(holding->buffer, "a private mmap: %s", strerror(errno));
    count(MAP_PRIVATE_REFUSED);
}

static void map_refused(const struct buffer *buffer, struct moment moment, int error)
{
    if (error != ENODEV)
        violation(buffer, "mmap: %s", strerror(error));
    if (is_ending(buffer))
        count(MAP_DEAD);
    else if (!may_be_away(buffer, moment))
        violation(buffer, "mmap refused though it is live");
}

void hold_map(struct holding *holding, uint64_t *random)
{
    unsigned all = holding->buffer->pages, first = 0, pages = all;
    if (holding->fd < 0 || holding->count == MAPPINGS)
        return;
    if (below(random, 20) == 0) {
        map_private(holding);
        return;
    }
    if (below(random, 2)) {
        first = below(random, all);
        pages = 1 + below(random, all - first);
    }
    bool writable = below(random, 5);
    struct moment moment = moment_now(holding->buffer);
    char *at = map_aligned(holding->fd, (size_t)pages * PAGE, (off_t)first * PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ);
    if (at == MAP_FAILED) {
        map_refused(holding->buffer, moment, errno);
        return;
    }
    if (must_be_over(holding->buffer, moment))
        violation(holding->buffer, "mapped after it was over");
    holding->mappings[holding->count++] = (struct mapping){ .at = at, .first = first, .pages = pages, .writable = writable };
    count(MAP);
}

static void forget(struct holding *holding, struct mapping *mapping)
{
    struct mapping *last = &holding->mappings[--holding->count];
    mapping->at = last->at;
    mapping->first = last->first;
    mapping->pages = last->pages;
    mapping->writable = last->writable;
    atomic_store(&mapping->was_away, atomic_load(&last->was_away));
}

static void grow(const struct holding *holding, const struct mapping *mapping)
{
    size_t length = (size_t)mapping->pages * PAGE;
    // A mapping must not reach what was not asked for.
    if (mremap(mapping->at, length, length + PAGE, MREMAP_MAYMOVE) != MAP_FAILED)
        violation(holding->buffer, "mremap grew a mapping");
    count(GROW_REFUSED);
}

void hold_move(struct holding *holding, uint64_t *random)
{
    if (!holding->count)
        return;
    struct mapping *mapping = &holding->mappings[below(random, holding->count)];
    size_t length = (size_t)mapping->pages * PAGE;
    unsigned what = below(random, 8);
    if (what == 0) {
        grow(holding, mapping);
    } else if (what < 3 && mapping->pages > 1) {
        mapping->pages -= 1 + below(random, mapping->pages - 1);
        if (mremap(mapping->at, length, (size_t)mapping->pages * PAGE, 0) != mapping->at)
            violation(holding->buffer, "mremap to a smaller size: %s", strerror(errno));
        count(SHRINK);
    } else {
        // The place is this thread's until mremap puts the mapping there.
        void *place = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        void *moved = mremap(mapping->at, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, place);
        if (moved == MAP_FAILED)
            violation(holding->buffer, "mremap: %s", strerror(errno));
        mapping->at = moved;
        count(MREMAP);
    }
}

// A hole in the middle makes two mappings of one.
static void unmap_middle(struct holding *holding, struct mapping *mapping, uint64_t *random)
{
    unsigned from = 1 + below(random, mapping->pages - 2), pages = 1 + below(random, mapping->pages - from - 1);
    munmap(mapping->at + (size_t)from * PAGE, (size_t)pages * PAGE);
    struct mapping *second = &holding->mappings[holding->count++];
    *second = (struct mapping){ .at = mapping->at + (size_t)(from + pages) * PAGE, .first = mapping->first + from + pages, .pages = mapping->pages - from - pages,
                                .writable = mapping->writable };
    mapping->pages = from;
}

void hold_unmap(struct holding *holding, uint64_t *random)
{
    if (!holding->count)
        return;
    struct mapping *mapping = &holding->mappings[below(random, holding->count)];
    unsigned what = below(random, 4);
    if (what == 0 || mapping->pages < 3) {
        munmap(mapping->at, (size_t)mapping->pages * PAGE);
        forget(holding, mapping);
        count(UNMAP);
        return;
    }
    if (what == 1 && holding->count < MAPPINGS) {
        unmap_middle(holding, mapping, random);
    } else {
        unsigned pages = 1 + below(random, mapping->pages - 1);
        munmap(mapping->at, (size_t)pages * PAGE);
        mapping->at += (size_t)pages * PAGE;
        mapping->first += pages;
        mapping->pages -= pages;
    }
    count(UNMAP_PART);
}

// Splits the mapping's area, and its huge pages, and lets them be joined again.
void hold_protect(struct holding *holding, uint64_t *random)
{
    if (!holding->count)
        return;
    struct mapping *mapping = &holding->mappings[below(random, holding->count)];
    unsigned from = below(random, mapping->pages), pages = 1 + below(random, mapping->pages - from);
    char *at = mapping->at + (size_t)from * PAGE;
    if (mprotect(at, (size_t)pages * PAGE, below(random, 2) ? PROT_NONE : PROT_READ) ||
        mprotect(at, (size_t)pages * PAGE, mapping->writable ? PROT_READ | PROT_WRITE : PROT_READ))
        violation(holding->buffer, "mprotect: %s", strerror(errno));
    count(PROTECT);
}

static void reopen(const struct holding *holding)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", holding->fd);
    int held = open(path, O_PATH | O_CLOEXEC);
    if (held < 0)
        broken("open %s with O_PATH: %s", path, strerror(errno));
    snprintf(path, sizeof path, "/proc/self/fd/%d", held);
    int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0)
        violation(holding->buffer, "it could be opened again through /proc");
    close(held);
    count(REOPEN);
}

void hold_fd(struct holding *holding, uint64_t *random)
{
    if (holding->fd < 0)
        return;
    unsigned what = below(random, 4);
    int fd = holding->fd;
    bool sent;
    if (what == 0) {
        holding->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (holding->fd < 0)
            broken("F_DUPFD_CLOEXEC: %s", strerror(errno));
        close(fd);
        count(DUP);
    } else if (what == 1) {
        reopen(holding);
    } else if (what == 2) {
        send_fd(sockets[POOL].in, holding->buffer->number, fd, &sent);
        if (sent)
            count(PASS);
    } else {
        // The mappings alone keep the buffer.
        close(fd);
        holding->fd = -1;
    }
}

void hold_drop(struct holding *holding)
{
    for (unsigned i = 0; i < holding->count; i++)
        munmap(holding->mappings[i].at, (size_t)holding->mappings[i].pages * PAGE);
    if (holding->fd >= 0)
        close(holding->fd);
    holding->buffer = NULL;
    holding->count = 0;
    count(DROP);
}
