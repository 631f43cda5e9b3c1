// SPDX-License-Identifier: Apache-2.0
// A client process: its threads take fds from sockets, map, use, pass on and let go.
#define _GNU_SOURCE
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CLIENT_THREADS = 4 };

struct worker {
    unsigned client;
    uint64_t random;
};

static struct holding holdings[HOLDINGS];

static void change(struct holding *holding, uint64_t *random)
{
    unsigned what = below(random, 100);
    if (!holding->buffer)
        hold_take(holding, random);
    if (!holding->buffer)
        return;
    if (holding->count == 0 && what >= 5 && is_ending(holding->buffer))
        hold_drop(holding);
    else if (holding->count == 0 || what < 30)
        hold_map(holding, random);
    else if (what < 40)
        return;
    else if (what < 55)
        hold_move(holding, random);
    else if (what < 70)
        hold_unmap(holding, random);
    else if (what < 80)
        hold_protect(holding, random);
    else if (what < 90)
        hold_fd(holding, random);
    else if (what < 92 || is_ending(holding->buffer))
        hold_drop(holding);
}

static void use(struct holding *holding, uint64_t *random)
{
    unsigned what = below(random, 1000);
    if (!holding->count)
        return;
    if (what < 600)
        use_word(holding, random);
    else if (what < 700)
        use_scan(holding, random);
    else if (what < 760)
        use_hammer(holding, random);
    else if (what < 770)
        use_fork(holding, random);
    else if (what < 820)
        use_advise(holding, random);
    else if (what < 850)
        use_look(holding, random);
    else if (holding->fd >= 0 && importer_is_there())
        import_randomly(holding->buffer, holding->fd, random);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t *random = &worker->random;
    while (!atomic_load(&shared->stop)) {
        struct holding *holding = &holdings[below(random, HOLDINGS)];
        bool changes = !holding->buffer || !holding->count || below(random, 6) == 0;
        if (changes ? pthread_rwlock_trywrlock(&holding->lock) : pthread_rwlock_tryrdlock(&holding->lock))
            continue;
        if (changes)
            change(holding, random);
        else
            use(holding, random);
        pthread_rwlock_unlock(&holding->lock);
        atomic_fetch_add(&shared->client_beats[worker->client], 1);
        if (below(random, 50) == 0)
            pause_randomly(random, 1000);
    }
    return NULL;
}

void run_client(unsigned client, uint64_t seed)
{
    static struct worker workers[CLIENT_THREADS];
    pthread_t threads[CLIENT_THREADS];

    catch_sigbus();
    for (int i = 0; i < HOLDINGS; i++)
        pthread_rwlock_init(&holdings[i].lock, NULL);
    for (int i = 0; i < CLIENT_THREADS; i++) {
        workers[i] = (struct worker){ client, seed + (uint64_t)i };
        if (pthread_create(&threads[i], NULL, work, &workers[i]))
            broken("pthread_create");
    }
    for (int i = 0; i < CLIENT_THREADS; i++)
        pthread_join(threads[i], NULL);
    // Only then: the threads' mappings and fds end with the process.
}
