// SPDX-License-Identifier: Apache-2.0
// Which bytes of the BAR are taken, and by which buffers. Two live buffers have no byte in common unless one is a second export of the other.
#define _GNU_SOURCE
#include "owner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned bar_pages(const struct owner *owner)
{
    uint64_t pages = owner->vfio.bar_size / PAGE;
    return pages < BAR_PAGES ? (unsigned)pages : BAR_PAGES;
}

static bool is_free(const struct owner *owner, unsigned first, unsigned pages)
{
    for (unsigned i = first; i < first + pages; i++)
        if (owner->taken[i])
            return false;
    return true;
}

static bool take_range(struct owner *owner, struct extent *extent, unsigned pages, uint64_t *random)
{
    unsigned step = pages >= HUGE / PAGE ? HUGE / PAGE : 1, places = (bar_pages(owner) - pages) / step + 1;
    for (int tries = 0; tries < 20; tries++) {
        unsigned first = below(random, places) * step;
        if (!is_free(owner, first, pages))
            continue;
        memset(owner->taken + first, 1, pages);
        extent->ranges[extent->count].first = first;
        extent->ranges[extent->count++].pages = pages;
        return true;
    }
    return false;
}

static void give_back(struct owner *owner, struct extent *extent)
{
    for (unsigned i = 0; i < extent->count; i++)
        memset(owner->taken + extent->ranges[i].first, 0, extent->ranges[i].pages);
    free(extent);
}

// NULL when there is no room.
struct extent *extent_take(struct owner *owner, unsigned ranges, unsigned pages, uint64_t *random)
{
    struct extent *extent = calloc(1, sizeof *extent);
    extent->users = 1;
    pthread_mutex_lock(&owner->lock);
    bool good = true;
    for (unsigned i = 0; good && i < ranges; i++)
        good = take_range(owner, extent, pages, random);
    if (!good) {
        give_back(owner, extent);
        extent = NULL;
    }
    pthread_mutex_unlock(&owner->lock);
    return extent;
}

void extent_share(struct owner *owner, struct extent *extent)
{
    pthread_mutex_lock(&owner->lock);
    extent->users++;
    pthread_mutex_unlock(&owner->lock);
}

static void extent_put_locked(struct owner *owner, struct extent *extent)
{
    if (--extent->users == 0)
        give_back(owner, extent);
}

void extent_put(struct owner *owner, struct extent *extent)
{
    pthread_mutex_lock(&owner->lock);
    extent_put_locked(owner, extent);
    pthread_mutex_unlock(&owner->lock);
}

// With one user, the caller, and hidden from others until entry_show; NULL when there is no room.
struct entry *entry_add(struct owner *owner, struct entry entry)
{
    struct entry *added = NULL;
    pthread_mutex_lock(&owner->lock);
    for (int i = 0; i < ENTRIES && !added; i++)
        if (!owner->entries[i].buffer)
            added = &owner->entries[i];
    if (added) {
        *added = entry;
        added->users = 1;
        added->hidden = true;
    }
    pthread_mutex_unlock(&owner->lock);
    return added;
}

// NULL when the place that chance points to is free: what is done to buffers then keeps pace with how many there are.
struct entry *entry_pick(struct owner *owner, uint64_t *random)
{
    struct entry *entry = &owner->entries[below(random, ENTRIES)];
    pthread_mutex_lock(&owner->lock);
    if (entry->buffer && !entry->hidden && !entry->gone)
        entry->users++;
    else
        entry = NULL;
    pthread_mutex_unlock(&owner->lock);
    return entry;
}

void entry_show(struct owner *owner, struct entry *entry)
{
    pthread_mutex_lock(&owner->lock);
    entry->hidden = false;
    pthread_mutex_unlock(&owner->lock);
}

void entry_gone(struct owner *owner, struct entry *entry, bool keeps)
{
    pthread_mutex_lock(&owner->lock);
    // Whoever was first decides: a revoke frees the bytes even if another thread wanted to leave the buffer alone.
    entry->keeps = keeps && (!entry->gone || entry->keeps);
    entry->gone = true;
    pthread_mutex_unlock(&owner->lock);
}

static void entry_free(struct owner *owner, struct entry *entry)
{
    munmap(entry->at, (size_t)entry->buffer->pages * PAGE);
    close(entry->fd);
    if (!entry->keeps)
        extent_put_locked(owner, entry->extent);
    entry->buffer = NULL;
}

void entry_put(struct owner *owner, struct entry *entry)
{
    pthread_mutex_lock(&owner->lock);
    if (--entry->users == 0 && entry->gone)
        entry_free(owner, entry);
    pthread_mutex_unlock(&owner->lock);
}

// After the device was closed: nothing of it can be reached any more.
void book_clear(struct owner *owner)
{
    for (int i = 0; i < ENTRIES; i++)
        if (owner->entries[i].buffer)
            entry_free(owner, &owner->entries[i]);
    memset(owner->taken, 0, sizeof owner->taken);
}
