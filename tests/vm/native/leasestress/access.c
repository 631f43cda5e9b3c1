// SPDX-License-Identifier: Apache-2.0
// One access to one word of a buffer, and whether it may have ended as it did:
//   - it succeeded, and it began after the end of the buffer had been reported: the driver broke its promise;
//   - it succeeded with another word than the buffer's own: no access that the driver allows can see that, since bytes get a new pattern only
//     after the end of the buffer that had them has been reported, and nothing is mapped while memory is off;
//   - it raised SIGBUS, though nobody had begun to end the buffer or to take memory away: live buffers must work.
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t armed;
static __thread void *volatile raised_at;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
    // SIGSEGV: a mapping is not there, or not as it should be.
    if (!armed || signal != SIGBUS)
        broken("signal %d (code %d) at %p, pc 0x%llx, %s an access to a buffer", signal, info->si_code, info->si_addr,
               (unsigned long long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], armed ? "in" : "outside of");
    raised_at = info->si_addr;
    siglongjmp(back, 1);
}

void catch_sigbus(void)
{
    // Not blocked while it is handled, so that siglongjmp needs not put back a mask, which would be a system call for each access.
    struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static bool get(volatile uint64_t *at, uint64_t *value)
{
    if (sigsetjmp(back, 0)) {
        armed = 0;
        return false;
    }
    armed = 1;
    *value = *at;
    armed = 0;
    return true;
}

static bool put(volatile uint64_t *at, uint64_t value)
{
    if (sigsetjmp(back, 0)) {
        armed = 0;
        return false;
    }
    armed = 1;
    *at = value;
    armed = 0;
    return true;
}

// The kernel itself reads or writes the mapping.
static bool copy(void *at, uint64_t *value, enum way way)
{
    int ends[2];
    uint64_t word = *value;
    if (pipe(ends))
        broken("pipe: %s", strerror(errno));
    bool good = way == COPY_OUT ? write(ends[1], at, sizeof word) == sizeof word && read(ends[0], value, sizeof word) == sizeof word :
                                  write(ends[1], &word, sizeof word) == sizeof word && read(ends[0], at, sizeof word) == sizeof word;
    if (!good && errno != EFAULT)
        broken("copy %s a buffer: %s", way == COPY_OUT ? "from" : "to", strerror(errno));
    close(ends[0]);
    close(ends[1]);
    return good;
}

struct moment moment_now(const struct buffer *buffer)
{
    const struct device *device = &shared->devices[buffer->device];
    struct moment moment;
    // In this order: when the count of what was over equals the later count of what had begun, nothing was under way in between.
    unsigned finished = atomic_load(&device->finished);
    moment.started = atomic_load(&device->started);
    moment.idle = finished == moment.started;
    moment.begin = now();
    atomic_thread_fence(memory_order_seq_cst);
    return moment;
}

static const struct epoch *epoch_of(const struct buffer *buffer) { return &shared->devices[buffer->device].epochs[buffer->epoch]; }

bool is_ending(const struct buffer *buffer) { return atomic_load(&buffer->ending) || atomic_load(&epoch_of(buffer)->ending); }

static bool is_after(uint64_t begin, uint64_t over_at) { return over_at && begin > over_at; }

bool must_be_over(const struct buffer *buffer, struct moment moment)
{
    return is_after(moment.begin, atomic_load(&buffer->over_at)) || is_after(moment.begin, atomic_load(&epoch_of(buffer)->over_at));
}

bool may_be_away(const struct buffer *buffer, struct moment moment)
{
    return !moment.idle || atomic_load(&shared->devices[buffer->device].started) != moment.started;
}

uint64_t word_of(const struct buffer *buffer, unsigned page, unsigned word)
{
    uint64_t state = buffer->key ^ ((uint64_t)page << 16 | word);
    return next_random(&state);
}

static void check_success(struct buffer *buffer, unsigned page, enum way way, struct moment moment, uint64_t wanted, uint64_t got)
{
    static const char *const names[] = { "read", "write", "copy by the kernel from", "copy by the kernel to" };
    if (must_be_over(buffer, moment))
        violation(buffer, "%s of page %u succeeded though it began at %.6f s, after the end of the buffer", names[way], page,
                  (double)(moment.begin - shared->begin) / 1e9);
    if (got != wanted)
        violation(buffer, "%s of page %u, begun at %.6f s, saw 0x%016llx instead of 0x%016llx", names[way], page, (double)(moment.begin - shared->begin) / 1e9,
                  (unsigned long long)got, (unsigned long long)wanted);
}

// page_at: where the page is mapped. Word 0 and word 511 of a page have the pattern.
enum verdict touch(struct buffer *buffer, char *page_at, unsigned page, unsigned word, enum way way)
{
    uint64_t *at = (uint64_t *)page_at + word, wanted = word_of(buffer, page, word), got = wanted;
    struct moment moment = moment_now(buffer);
    bool good = way == READ_WORD ? get(at, &got) : way == WRITE_WORD ? put(at, wanted) : copy(at, &got, way);
    if (good) {
        check_success(buffer, page, way, moment, wanted, got);
        return GOOD;
    }
    if (way <= WRITE_WORD && (raised_at < (void *)page_at || raised_at >= (void *)(page_at + PAGE)))
        violation(buffer, "SIGBUS at %p for an access to %p", raised_at, (void *)at);
    if (is_ending(buffer)) {
        count(SIGBUS_OVER);
        return OVER;
    }
    if (!may_be_away(buffer, moment))
        violation(buffer, "no access to page %u from %.6f s on, though the buffer is live", page, (double)(moment.begin - shared->begin) / 1e9);
    count(SIGBUS_SUSPENDED);
    return AWAY;
}

// Like mmap, but what is large enough comes to where it can be mapped by huge pages. The place is only a hint, since another thread may take it.
char *map_aligned(int fd, size_t length, off_t offset, int protection)
{
    char *hint = NULL;
    if (length >= HUGE) {
        char *room = mmap(NULL, length + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
            broken("mmap of room for %zu bytes: %s", length, strerror(errno));
        munmap(room, length + HUGE);
        hint = (char *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
    }
    return mmap(hint, length, protection, MAP_SHARED, fd, offset);
}
