// SPDX-License-Identifier: Apache-2.0
// The process that owns a device, like the broker: it exports, hands out, revokes, resets, closes. It never forks, so that the device is closed
// when it closes it.
#define _GNU_SOURCE
#include "owner.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWNER_THREADS = 3 };

struct worker {
    struct owner *owner;
    uint64_t random;
    unsigned number;
};
__thread unsigned worker_number;

static void suspend(struct owner *owner) { atomic_fetch_add(&owner->device->started, 1); }
static void resumed(struct owner *owner) { atomic_fetch_add(&owner->device->finished, 1); }

static void done(struct owner *owner, enum kind kind, int result)
{
    trace(owner->device, kind, NULL, result);
    if (!result)
        count(kind);
}

static void reset(struct owner *owner, uint64_t *random)
{
    bool hot = below(random, 2);
    suspend(owner);
    int result = hot ? vfio_hot_reset(&owner->vfio) : vfio_reset(&owner->vfio);
    resumed(owner);
    done(owner, hot ? HOT_RESET : RESET, result);
}

static void memory_off(struct owner *owner, uint64_t *random)
{
    pthread_mutex_lock(&owner->power);
    suspend(owner);
    vfio_memory(&owner->vfio, false);
    pause_randomly(random, 5000);
    vfio_memory(&owner->vfio, true);
    resumed(owner);
    pthread_mutex_unlock(&owner->power);
    done(owner, MEMORY_OFF, 0);
}

static void low_power(struct owner *owner, uint64_t *random)
{
    pthread_mutex_lock(&owner->power);
    suspend(owner);
    int result = vfio_low_power(&owner->vfio, true);
    if (!result) {
        pause_randomly(random, 5000);
        if (vfio_low_power(&owner->vfio, false))
            broken("LOW_POWER_EXIT on %s: %s", owner->device->name, strerror(errno));
    }
    resumed(owner);
    pthread_mutex_unlock(&owner->power);
    done(owner, LOW_POWER, result);
}

static void mark_over(struct epoch *epoch)
{
    uint64_t none = 0;
    atomic_compare_exchange_strong(&epoch->over_at, &none, now());
}

// What the owner itself had mapped must be out of reach.
static void check_closed(struct owner *owner, uint64_t *random)
{
    for (int i = 0; i < ENTRIES; i++)
        if (owner->entries[i].buffer)
            check_over(&owner->entries[i], random);
    book_clear(owner);
}

static void close_device(struct owner *owner, uint64_t *random)
{
    pthread_rwlock_wrlock(&owner->open);
    unsigned number = atomic_load(&owner->device->epoch);
    struct epoch *epoch = &owner->device->epochs[number];
    bool all = below(random, 3) == 0;
    atomic_store(&epoch->ending, true);
    if (all)
        vfio_close_all(&owner->vfio);
    else
        close(owner->vfio.device);
    mark_over(epoch);
    done(owner, CLOSE, 0);
    check_closed(owner, random);
    if (all && below(random, 3)) {
        vfio_rebind(owner->device);
        done(owner, REBIND, 0);
    }
    if (number + 1 == MAX_EPOCHS)
        broken("closed %s more than %d times: too long a run", owner->device->name, MAX_EPOCHS);
    atomic_store(&owner->device->epoch, number + 1);
    if (all)
        vfio_open(&owner->vfio, owner->device);
    else
        vfio_open_device(&owner->vfio, owner->device);
    pthread_rwlock_unlock(&owner->open);
}

static void with_entry(struct owner *owner, uint64_t *random, unsigned what)
{
    struct entry *entry = entry_pick(owner, random);
    if (!entry)
        return;
    if (what < 45) {
        for (unsigned times = 1 + (below(random, 8) == 0); times; times--)
            call_revoke(owner, entry);
        check_over(entry, random);
        call_state(owner, entry);
    } else if (what < 80) {
        call_state(owner, entry);
    } else if (what < 95) {
        call_inside(owner, entry, random);
    } else {
        entry_gone(owner, entry, true);
        done(owner, ABANDON, 0);
    }
    entry_put(owner, entry);
}

static void act(struct owner *owner, uint64_t *random)
{
    unsigned what = below(random, 1000);
    if (what >= 996) {
        close_device(owner, random);
        return;
    }
    pthread_rwlock_rdlock(&owner->open);
    if (what < 350)
        call_export(owner, random);
    else if (what < 950)
        with_entry(owner, random, below(random, 100));
    else if (what < 970)
        memory_off(owner, random);
    else if (what < 980)
        low_power(owner, random);
    else
        reset(owner, random);
    pthread_rwlock_unlock(&owner->open);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker_number = worker->number;
    // It pauses at random, and comes back in the midst of whatever runs then.
    if (worker->number == 0 && pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 }))
        broken("SCHED_FIFO refused");
    while (!atomic_load(&shared->stop)) {
        act(worker->owner, &worker->random);
        atomic_fetch_add(&shared->owner_beats[worker->owner->index], 1);
        pause_randomly(&worker->random, worker->number == 0 ? 5000 : 2000);
    }
    return NULL;
}

void run_owner(unsigned index, uint64_t seed)
{
    static struct owner owner;
    static struct worker workers[OWNER_THREADS];
    pthread_t threads[OWNER_THREADS];
    pthread_rwlockattr_t attributes;

    owner = (struct owner){ .device = &shared->devices[index], .index = index, .power = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER };
    pthread_rwlockattr_init(&attributes);
    // Else the close would never get its turn.
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&owner.open, &attributes);
    catch_sigbus();
    vfio_open(&owner.vfio, owner.device);
    for (int i = 0; i < OWNER_THREADS; i++) {
        workers[i] = (struct worker){ &owner, seed + (uint64_t)i, (unsigned)i };
        if (pthread_create(&threads[i], NULL, work, &workers[i]))
            broken("pthread_create");
    }
    for (int i = 0; i < OWNER_THREADS; i++)
        pthread_join(threads[i], NULL);
    struct epoch *epoch = &owner.device->epochs[atomic_load(&owner.device->epoch)];
    atomic_store(&epoch->ending, true);
    vfio_close_all(&owner.vfio);
    mark_over(epoch);
    check_closed(&owner, &seed);
}
