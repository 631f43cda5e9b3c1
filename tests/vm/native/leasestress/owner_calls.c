// SPDX-License-Identifier: Apache-2.0
// The owner's calls for buffers, and what may come of each.
#define _GNU_SOURCE
#include "owner.h"

#include "calls.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct buffer *new_buffer(struct owner *owner, unsigned pages, uint64_t key)
{
    unsigned number = atomic_fetch_add(&shared->next_buffer, 1);
    if (number >= MAX_BUFFERS)
        broken("more than %d buffers: too long a run", MAX_BUFFERS);
    struct buffer *buffer = &shared->buffers[number];
    buffer->key = key;
    buffer->device = owner->index;
    buffer->epoch = atomic_load(&owner->device->epoch);
    buffer->pages = pages;
    buffer->number = number;
    return buffer;
}

static int export(struct owner *owner, const struct extent *extent)
{
    struct lease_range ranges[MAX_RANGES];
    for (unsigned i = 0; i < extent->count; i++)
        ranges[i] = (struct lease_range){ (__u64)extent->ranges[i].first * PAGE, (__u64)extent->ranges[i].pages * PAGE };
    int fd = lease_export(owner->vfio.device, VFIO_PCI_BAR2_REGION_INDEX, extent->count, ranges);
    if (fd < 0)
        broken("export on %s: %s", owner->device->name, strerror(errno));
    return fd;
}

static void set_memattr(struct owner *owner, const struct buffer *buffer, int fd, uint64_t *random)
{
    unsigned memattr = below(random, 3);
    int result = lease_memattr(owner->vfio.device, fd, memattr);
    if (memattr <= LEASE_WRITE_COMBINING ? result != 0 : result == 0 || errno != ENOENT)
        broken("MEMATTR %u: %d %s", memattr, result, strerror(errno));
    trace(owner->device, MEMATTR, buffer, result);
    count(MEMATTR);
}

// Takes the fd and one user of the extent.
static struct entry *enter(struct owner *owner, struct buffer *buffer, struct extent *extent, int fd)
{
    char *at = map_aligned(fd, (size_t)buffer->pages * PAGE, 0, PROT_READ | PROT_WRITE);
    if (at == MAP_FAILED)
        violation(buffer, "the owner cannot map its new buffer: %s", strerror(errno));
    struct entry *entry = entry_add(owner, (struct entry){ .buffer = buffer, .extent = extent, .at = at, .fd = fd });
    if (!entry) {
        // Bytes must not get another pattern while this buffer can reach them, and nobody else has it yet.
        munmap(at, (size_t)buffer->pages * PAGE);
        close(fd);
        extent_put(owner, extent);
    }
    return entry;
}

// Every page of it, waiting for memory that is away. False when the run is over before that.
static bool write_pattern(struct buffer *buffer, char *at)
{
    for (unsigned page = 0; page < buffer->pages; page++)
        for (unsigned word = 0; word < 512; word += 511)
            for (enum verdict verdict = AWAY; verdict != GOOD;) {
                verdict = touch(buffer, at + (size_t)page * PAGE, page, word, WRITE_WORD);
                if (verdict == OVER)
                    violation(buffer, "over before anybody ended it");
                if (verdict == AWAY && atomic_load(&shared->stop))
                    return false;
                if (verdict == AWAY)
                    usleep(500);
            }
    return true;
}

static void hand_out(struct owner *owner, struct buffer *buffer, int fd)
{
    bool sent;
    send_fd(sockets[owner->index].in, buffer->number, fd, &sent);
}

static void export_again(struct owner *owner, struct entry *first, uint64_t *random)
{
    // The first may be revoked meanwhile; its bytes are not free before this one is revoked too.
    extent_share(owner, first->extent);
    int fd = export(owner, first->extent);
    struct buffer *buffer = new_buffer(owner, first->buffer->pages, first->buffer->key);
    trace(owner->device, EXPORT_AGAIN, buffer, fd);
    struct entry *entry = enter(owner, buffer, first->extent, fd);
    if (!entry)
        return;
    count(EXPORT_AGAIN);
    touch(buffer, entry->at, 0, 511 * below(random, 2), READ_WORD);
    hand_out(owner, buffer, fd);
    entry_show(owner, entry);
    entry_put(owner, entry);
}

static void export_new(struct owner *owner, uint64_t *random)
{
    unsigned what = below(random, 100), ranges = what < 70 ? 1 : 2 + below(random, MAX_RANGES - 1);
    unsigned pages = what < 60 || what >= 80 ? 1 + below(random, 4) : what < 68 ? 5 + below(random, 60) : HUGE / PAGE * (1 + (what & 1));
    struct extent *extent = extent_take(owner, ranges, pages, random);
    if (!extent)
        return;
    int fd = export(owner, extent);
    struct buffer *buffer = new_buffer(owner, ranges * pages, next_random(random));
    enum kind kind = pages >= HUGE / PAGE ? EXPORT_HUGE : ranges > 1 ? EXPORT_MANY : EXPORT_ONE;
    trace(owner->device, kind, buffer, fd);
    count(kind);
    struct moment moment = moment_now(buffer);
    int state = lease_state(owner->vfio.device, fd);
    if (state == LEASE_SUSPENDED && may_be_away(buffer, moment))
        count(EXPORT_SUSPENDED);
    else if (state != LEASE_LIVE)
        violation(buffer, "new, and its state is %d (%s)", state, strerror(errno));
    if (below(random, 4) == 0)
        set_memattr(owner, buffer, fd, random);
    struct entry *entry = enter(owner, buffer, extent, fd);
    if (!entry)
        return;
    if (write_pattern(buffer, entry->at))
        hand_out(owner, buffer, fd);
    entry_show(owner, entry);
    entry_put(owner, entry);
}

void call_export(struct owner *owner, uint64_t *random)
{
    struct entry *first = below(random, 8) == 0 ? entry_pick(owner, random) : NULL;
    if (!first) {
        export_new(owner, random);
        return;
    }
    export_again(owner, first, random);
    entry_put(owner, first);
}

static void revoked(struct owner *owner, struct entry *entry, int result, enum kind how)
{
    int error = errno;
    uint64_t none = 0;
    if (result && error != EBADFD)
        violation(entry->buffer, "REVOKE failed: %s", strerror(error));
    // The first to return decides, since from then on nobody may have access.
    atomic_compare_exchange_strong(&entry->buffer->over_at, &none, now());
    count(result ? REVOKE_AGAIN : how);
    trace(owner->device, result ? REVOKE_AGAIN : how, entry->buffer, result ? -error : 0);
    entry_gone(owner, entry, false);
}

void call_revoke(struct owner *owner, struct entry *entry)
{
    atomic_store(&entry->buffer->ending, true);
    int result;
    // A signal ends the wait for importers, not the revocation.
    do
        result = lease_revoke(owner->vfio.device, entry->fd);
    while (result && errno == EINTR);
    revoked(owner, entry, result, REVOKE);
}

void check_over(struct entry *entry, uint64_t *random)
{
    unsigned page = below(random, entry->buffer->pages);
    touch(entry->buffer, entry->at + (size_t)page * PAGE, page, 0, below(random, 2) ? READ_WORD : WRITE_WORD);
    void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, entry->fd, 0);
    if (at != MAP_FAILED)
        violation(entry->buffer, "mapped again after it was over");
    if (errno != ENODEV)
        violation(entry->buffer, "mmap after it was over: %s instead of ENODEV", strerror(errno));
    count(MAP_DEAD);
}

void call_state(struct owner *owner, struct entry *entry)
{
    struct moment moment = moment_now(entry->buffer);
    int state = lease_state(owner->vfio.device, entry->fd);
    bool over = must_be_over(entry->buffer, moment);
    if (state < 0)
        violation(entry->buffer, "STATE: %s", strerror(errno));
    if (over && state != LEASE_REVOKED)
        violation(entry->buffer, "its state is %d though it is over", state);
    if (state >= LEASE_REVOKED && !is_ending(entry->buffer))
        violation(entry->buffer, "its state is %d, revoked, and nobody did that", state);
    if (state == LEASE_SUSPENDED && !may_be_away(entry->buffer, moment))
        violation(entry->buffer, "its state is suspended, and nobody did that");
    count(state == LEASE_LIVE ? STATE_LIVE : state == LEASE_SUSPENDED ? STATE_SUSPENDED : STATE_REVOKED);
}

// The argument lies in a second buffer: the kernel's copying from and to it faults in the midst of a call to the driver that made it. The
// words with the pattern are elsewhere, and so are the arguments of other threads.
void call_inside(struct owner *owner, struct entry *entry, uint64_t *random)
{
    struct entry *around = entry_pick(owner, random);
    if (!around)
        return;
    struct lease_call *call = (struct lease_call *)(around->at + 64 + 1024 * worker_number + 16 * below(random, 50));
    struct moment moment = moment_now(around->buffer);
    bool revoke = below(random, 2);
    struct lease_call head = { .argsz = revoke ? 12 : 16, .flags = revoke ? LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_SET : LEASE_FEATURE_STATE | VFIO_DEVICE_FEATURE_GET, .dmabuf_fd = entry->fd };
    // Through a system call, since a store could raise SIGBUS.
    int ends[2];
    if (pipe(ends) || write(ends[1], &head, sizeof head) != sizeof head)
        broken("pipe: %s", strerror(errno));
    bool placed = read(ends[0], call, sizeof head) == sizeof head;
    close(ends[0]);
    close(ends[1]);
    if (placed && revoke)
        atomic_store(&entry->buffer->ending, true);
    int result = placed ? ioctl(owner->vfio.device, VFIO_DEVICE_FEATURE, call) : -1;
    if (result && errno != EFAULT && !(revoke && errno == EBADFD))
        violation(entry->buffer, "call with its argument in buffer %u: %s", around->buffer->number, strerror(errno));
    if (result && errno == EFAULT && !is_ending(around->buffer) && !may_be_away(around->buffer, moment))
        violation(around->buffer, "the kernel could not use an argument in this buffer, which is live");
    if (!result)
        count(ARGUMENT_INSIDE);
    if (placed && revoke) {
        // EFAULT: not revoked, but it is said to be ending, so it is to end.
        if (result && errno == EFAULT)
            call_revoke(owner, entry);
        else
            revoked(owner, entry, result, REVOKE);
    }
    entry_put(owner, around);
}
