// SPDX-License-Identifier: Apache-2.0
// What a restart of a service costs when its program does nothing: a service that takes its sockets, and what the service manager keeps for it, from the manager, and tells who connects its process number; and a client that
// asks it all the time.
//
//     floor serve COUNT    has the manager keep so many memfds, unless it has some already; answers on every socket that it was given
//     floor ask PATH       asks every 20 ms; prints "gap MS FROM UNTIL" when another process answers: from the last answer of the one before, in milliseconds, and in microseconds of CLOCK_MONOTONIC
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { first_fd = 3, most_sockets = 16 };

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        errx(1, "%s: too long", path);
    strcpy(address.sun_path, path);
    return address;
}

static void notify(const char *text, int fd)
{
    static int to = -1;
    if (to < 0) {
        const char *path = getenv("NOTIFY_SOCKET");
        if (!path)
            errx(1, "no NOTIFY_SOCKET");
        struct sockaddr_un address = address_of(path);
        if (address.sun_path[0] == '@')
            address.sun_path[0] = 0;
        to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (to < 0 || connect(to, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))))
            err(1, "%s", path);
    }
    struct iovec data = { .iov_base = (void *)text, .iov_len = strlen(text) };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    if (sendmsg(to, &message, MSG_NOSIGNAL) < 0)
        err(1, "%s", text);
}

static void answer(int listener)
{
    pid_t self = getpid();
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    // Whoever has gone again has no need of it.
    (void)!send(client, &self, sizeof self, MSG_NOSIGNAL);
    close(client);
}

static void serve(int count)
{
    struct pollfd sockets[most_sockets];
    nfds_t listening = 0;
    const char *given = getenv("LISTEN_FDS");
    int end = first_fd + (given ? atoi(given) : 0), kept = 0;
    for (int fd = first_fd; fd < end; fd++) {
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
            kept++;
        else if (listening < most_sockets)
            sockets[listening++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
    for (; kept < count; kept++) {
        int fd = memfd_create("floor", MFD_CLOEXEC);
        if (fd < 0)
            err(1, "memfd_create");
        notify("FDSTORE=1\nFDNAME=kept", fd);
        close(fd);
    }
    notify("READY=1", -1);
    while (poll(sockets, listening, 1000) >= 0) {
        notify("WATCHDOG=1", -1);
        for (nfds_t i = 0; i < listening; i++)
            if (sockets[i].revents)
                answer(sockets[i].fd);
    }
    err(1, "poll");
}

// The process that answers, or 0.
static pid_t ask_once(const struct sockaddr_un *address)
{
    pid_t who = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) || recv(fd, &who, sizeof who, MSG_WAITALL) != sizeof who)
        who = 0;
    close(fd);
    return who;
}

static long long microseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void ask(const char *path)
{
    const struct sockaddr_un address = address_of(path);
    long long answered = 0;
    pid_t last = 0;
    for (;; usleep(20000)) {
        pid_t who;
        while (!(who = ask_once(&address)))
            usleep(1000);
        long long now = microseconds();
        if (last && who != last) {
            printf("gap %lld %lld %lld\n", (now - answered) / 1000, answered, now);
            fflush(stdout);
        }
        last = who;
        answered = now;
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "serve"))
        serve(atoi(argv[2]));
    else if (argc == 3 && !strcmp(argv[1], "ask"))
        ask(argv[2]);
    errx(2, "usage: floor serve COUNT | ask PATH");
}
