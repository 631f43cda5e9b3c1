// SPDX-License-Identifier: Apache-2.0
// The process that owns a device: the buffers it has exported and not revoked.
#pragma once
#include "stress.h"

#include <pthread.h>

enum { ENTRIES = 32, MAX_RANGES = 4, BAR_PAGES = 16384 };

// Bytes of the BAR that one buffer has, or several over the same.
struct extent {
    unsigned users, count;
    struct {
        unsigned first, pages;
    } ranges[MAX_RANGES];
};

struct entry {
    struct buffer *buffer; // NULL: free
    struct extent *extent;
    char *at;              // the owner's own mapping of it
    int fd;
    unsigned users;        // threads that are at it
    bool hidden;           // not before its pattern is written
    bool gone;             // nobody is to begin anything with it
    bool keeps;            // its bytes may still be reached: they are not free before the device is closed
};

struct owner {
    struct device *device;
    unsigned index;
    struct vfio vfio;
    pthread_rwlock_t open;    // write: the device is being closed
    pthread_mutex_t power;    // one thread at a time takes memory away and gives it back
    pthread_mutex_t lock;     // of what follows
    struct entry entries[ENTRIES];
    bool taken[BAR_PAGES];
};

extern __thread unsigned worker_number;

// owner_book.c
struct extent *extent_take(struct owner *owner, unsigned ranges, unsigned pages, uint64_t *random);
struct entry *entry_add(struct owner *owner, struct entry entry);
struct entry *entry_pick(struct owner *owner, uint64_t *random);
void entry_show(struct owner *owner, struct entry *entry);
void entry_put(struct owner *owner, struct entry *entry);
void entry_gone(struct owner *owner, struct entry *entry, bool keeps);
void extent_share(struct owner *owner, struct extent *extent);
void extent_put(struct owner *owner, struct extent *extent);
void book_clear(struct owner *owner);

// owner_calls.c
void call_export(struct owner *owner, uint64_t *random);
void call_revoke(struct owner *owner, struct entry *entry);
void call_inside(struct owner *owner, struct entry *entry, uint64_t *random);
void call_state(struct owner *owner, struct entry *entry);
void check_over(struct entry *entry, uint64_t *random);
