// SPDX-License-Identifier: Apache-2.0

// Many processes that want leases all at once, as a fork bomb would that somebody bounded.
//
//   swarm SOCKET CHILDREN MILLISECONDS ACQUIRE
//
// Each child connects to the fd socket SOCKET and sends the packet ACQUIRE (in hexadecimal). Who gets a lease keeps it; who does not closes the connection and tries again, until the time is
// over. Then the parent prints "leases N refused N closed N other N", the leases held and the attempts that were refused on a connection, or by closing it, or failed otherwise, and waits for the end
// of its standard input. When it goes, its children go.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 65536, QUOTA = 8 };

struct counts {
    int leases, refused, closed, other, finished;
};

static unsigned char request[PACKET];
static size_t request_length;

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool holds_lease(const char *path, struct counts *counts)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    unsigned char answer[PACKET];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        __atomic_fetch_add(&counts->other, 1, __ATOMIC_SEQ_CST);
        close(fd);
        return false;
    }
    // A connection too many is refused at once; the error is there to be read all the same.
    (void)!send(fd, request, request_length, MSG_NOSIGNAL);
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    // FdResponse: 0x0a is a delivery, 0x12 an error, whose first field (0x08) is the code, here behind a length of one or two bytes.
    if (got > 0 && answer[0] == 0x0a) {
        __atomic_fetch_add(&counts->leases, 1, __ATOMIC_SEQ_CST);
        return true;
    }
    int at = got > 2 && (answer[1] & 0x80) ? 3 : 2;
    bool is_quota = got > at + 1 && answer[0] == 0x12 && answer[at] == 0x08 && answer[at + 1] == QUOTA;
    // Whether the broker has closed the connection behind it.
    bool closing = is_quota && recv(fd, answer, sizeof answer, MSG_DONTWAIT) == 0;
    __atomic_fetch_add(!is_quota ? &counts->other : closing ? &counts->closed : &counts->refused, 1, __ATOMIC_SEQ_CST);
    close(fd);
    return false;
}

static void child(const char *path, long until, struct counts *counts)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!holds_lease(path, counts) && now_ms() < until)
        usleep(100000);
    __atomic_fetch_add(&counts->finished, 1, __ATOMIC_SEQ_CST);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    int children = atoi(argv[2]);
    long until = now_ms() + atol(argv[3]);
    for (const char *hex = argv[4]; hex[0] && hex[1]; hex += 2)
        sscanf(hex, "%2hhx", &request[request_length++]);
    struct counts *counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < children; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0)
            child(argv[1], until, counts);
    }
    while (__atomic_load_n(&counts->finished, __ATOMIC_SEQ_CST) < children)
        usleep(20000);
    printf("leases %d refused %d closed %d other %d\n", counts->leases, counts->refused, counts->closed, counts->other);
    fflush(stdout);
    for (;;)
        pause();
}
