// SPDX-License-Identifier: Apache-2.0
// A process that has buffers: its threads share them.
#pragma once
#include "stress.h"

#include <pthread.h>

enum { HOLDINGS = 24, MAPPINGS = 4 };

struct mapping {
    char *at;
    unsigned first, pages; // of the buffer
    bool writable;
    atomic_bool was_away;
};

struct holding {
    pthread_rwlock_t lock; // read: to use mappings and fd; write: to change them
    struct buffer *buffer; // NULL: free
    int fd;                // -1: closed, the mappings stay
    unsigned count;
    struct mapping mappings[MAPPINGS];
};

// What one thread does with one holding. Those of client_change.c need the lock for write.
void hold_take(struct holding *holding, uint64_t *random);
void hold_map(struct holding *holding, uint64_t *random);
void hold_move(struct holding *holding, uint64_t *random);
void hold_unmap(struct holding *holding, uint64_t *random);
void hold_protect(struct holding *holding, uint64_t *random);
void hold_fd(struct holding *holding, uint64_t *random);
void hold_drop(struct holding *holding);

// client_use.c
void use_word(struct holding *holding, uint64_t *random);
void use_scan(struct holding *holding, uint64_t *random);
void use_hammer(struct holding *holding, uint64_t *random);
void use_fork(struct holding *holding, uint64_t *random);
void use_advise(struct holding *holding, uint64_t *random);
void use_look(struct holding *holding, uint64_t *random);
