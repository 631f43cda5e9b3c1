// SPDX-License-Identifier: Apache-2.0
// Time, random numbers, counting, fds through sockets, and how a violation is told.
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct shared *shared;
struct sockets sockets[MAX_DEVICES + 1];

static const char *const kind_texts[] = {
#define X(name, required, text) text,
    KINDS(X)
#undef X
};

uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// splitmix64
uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

unsigned below(uint64_t *state, unsigned limit) { return (unsigned)(next_random(state) >> 32) % limit; }

void pause_randomly(uint64_t *state, unsigned most_us) { usleep(below(state, most_us + 1)); }

void count(enum kind kind) { atomic_fetch_add_explicit(&shared->counts[kind], 1, memory_order_relaxed); }

void trace(struct device *device, enum kind kind, const struct buffer *buffer, int result)
{
    struct trace *slot = &device->traces[atomic_fetch_add(&device->next_trace, 1) % TRACES];
    *slot = (struct trace){ now(), kind, buffer ? buffer->number : ~0U, result, gettid() };
}

static void print_traces(const struct device *device)
{
    unsigned next = atomic_load(&device->next_trace), shown = next < 40 ? next : 40;
    fprintf(stderr, "  the last calls on %s (s, thread, what, buffer, result):\n", device->name);
    for (unsigned i = next - shown; i != next; i++) {
        const struct trace *trace = &device->traces[i % TRACES];
        fprintf(stderr, "  %12.6f %5d %s, buffer %d, %d\n", (double)(trace->time - shared->begin) / 1e9, trace->thread, kind_texts[trace->kind],
                (int)trace->buffer, trace->result);
    }
}

static void print_buffer(const struct buffer *buffer)
{
    const struct device *device = &shared->devices[buffer->device];
    const struct epoch *epoch = &device->epochs[buffer->epoch];
    uint64_t over = atomic_load(&buffer->over_at), closed = atomic_load(&epoch->over_at);
    fprintf(stderr, "  buffer %u of %s, epoch %u, %u pages; revoke %s, over at %.6f s; close %s, over at %.6f s\n", buffer->number, device->name, buffer->epoch,
            buffer->pages, atomic_load(&buffer->ending) ? "begun" : "not begun", over ? (double)(over - shared->begin) / 1e9 : 0,
            atomic_load(&epoch->ending) ? "begun" : "not begun", closed ? (double)(closed - shared->begin) / 1e9 : 0);
    fprintf(stderr, "  suspensions: %u begun, %u over\n", atomic_load(&device->started), atomic_load(&device->finished));
    print_traces(device);
}

static void tell(const char *what, const char *format, va_list arguments)
{
    fprintf(stderr, "%s: process %d, thread %d, at %.6f s: ", what, getpid(), gettid(), (double)(now() - shared->begin) / 1e9);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void violation(const struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    // The first to find one tells it; what others find after that is its consequence.
    if (!atomic_exchange(&shared->failed, true)) {
        va_start(arguments, format);
        tell("VIOLATION", format, arguments);
        va_end(arguments);
        print_buffer(buffer);
    }
    _exit(1);
}

void broken(const char *format, ...)
{
    va_list arguments;
    if (!atomic_exchange(&shared->failed, true)) {
        va_start(arguments, format);
        tell("BROKEN", format, arguments);
        va_end(arguments);
    }
    _exit(1);
}

union fd_control {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
};

void send_fd(int socket, unsigned number, int fd, bool *sent)
{
    union fd_control control = { 0 };
    struct iovec data = { &number, sizeof number };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    *sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof number;
    if (!*sent && errno != EAGAIN && errno != ENOBUFS)
        broken("sendmsg: %s", strerror(errno));
}

// -1 when there is none.
int receive_fd(int socket, unsigned *number)
{
    union fd_control control = { 0 };
    struct iovec data = { number, sizeof *number };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    int fd = -1;
    if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof *number)
        return -1;
    if (control.head.cmsg_type != SCM_RIGHTS || control.head.cmsg_len != CMSG_LEN(sizeof fd))
        broken("a message without an fd");
    memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
    return fd;
}
