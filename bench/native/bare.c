// SPDX-License-Identifier: Apache-2.0
//
// What the kernel asks for the same thing without a broker: one process makes a sealed memfd and passes it by SCM_RIGHTS, another asks for it;
// later the first truncates it, which ends every access, while a third has it mapped. Prints one line a figure: name, median in nanoseconds.
//
//   bare ROUNDS SIZE
//
// or what a simulated device does to revoke COUNT buffers of a page, one after the other, each after a pause: their content goes back to the device's memory, then they are
// truncated, looked at and closed. Prints how long all of them took.
//
//   bare revokes COUNT PAUSE-MICROSECONDS

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ACQUIRE = 1, REVOKE = 2, PING = 3 };

static size_t size;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void send_fd(int sock, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(sock, &msg, 0) != 1)
        die("sendmsg");
}

static int receive_fd(int sock)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd;
    ssize_t length = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    if (length == 0)
        exit(0);
    if (length != 1)
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
    return fd;
}

// The owner: makes, passes and takes back one buffer at a time.
static void owner(int sock)
{
    char request;
    int buffer = -1;
    while (read(sock, &request, 1) == 1) {
        if (request == ACQUIRE) {
            if (buffer >= 0)
                close(buffer);
            buffer = memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            if (buffer < 0 || ftruncate(buffer, (off_t)size) || fcntl(buffer, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL))
                die("memfd");
            send_fd(sock, buffer);
            continue;
        }
        if (request == REVOKE && (ftruncate(buffer, 0) || lseek(buffer, 0, SEEK_END) != 0))
            die("ftruncate");
        if (write(sock, &request, 1) != 1)
            die("write");
    }
    exit(0);
}

// The holder: maps what it is given, touches it, says so, and keeps it mapped.
static void holder(int sock)
{
    for (char byte = 0;;) {
        int fd = receive_fd(sock);
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            die("mmap");
        *memory = 1;
        close(fd);
        if (write(sock, &byte, 1) != 1 || read(sock, &byte, 1) != 1)
            exit(0);
        munmap(memory, size);
        if (write(sock, &byte, 1) != 1)
            exit(0);
    }
}

static int start(void (*role)(int))
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        die("socketpair");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        role(pair[1]);
    }
    close(pair[1]);
    return pair[0];
}

static void ask(int sock, char request)
{
    if (write(sock, &request, 1) != 1)
        die("write");
}

static void answered(int sock)
{
    char byte;
    if (read(sock, &byte, 1) != 1)
        die("read");
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, uint64_t *samples, int count)
{
    qsort(samples, (size_t)count, sizeof *samples, by_value);
    printf("%s %llu\n", name, (unsigned long long)samples[count / 2]);
}

static int revokes(int count, long pause)
{
    enum { PAGE = 4096 };
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        die("getrlimit");
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int bar = memfd_create("bar", MFD_CLOEXEC), *buffer = calloc((size_t)count, sizeof *buffer);
    if (bar < 0 || ftruncate(bar, (off_t)count * PAGE) != 0)
        die("memfd_create");
    for (int i = 0; i < count; i++) {
        buffer[i] = memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (buffer[i] < 0 || ftruncate(buffer[i], PAGE) != 0 || fcntl(buffer[i], F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) != 0 || pwrite(buffer[i], "x", 1, 0) != 1)
            die("memfd_create");
    }
    struct timespec wait = { pause / 1000000, pause % 1000000 * 1000 };
    static char content[PAGE];
    uint64_t begin = now();
    for (int i = 0; i < count; i++) {
        if (pause > 0)
            nanosleep(&wait, NULL);
        if (pread(buffer[i], content, PAGE, 0) != PAGE || pwrite(bar, content, PAGE, (off_t)i * PAGE) != PAGE || ftruncate(buffer[i], 0) != 0 || lseek(buffer[i], 0, SEEK_END) != 0)
            die("revoke");
        close(buffer[i]);
    }
    printf("revokes %llu\n", (unsigned long long)(now() - begin));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "revokes") == 0)
        return revokes(atoi(argv[2]), atol(argv[3]));
    if (argc != 3) {
        fprintf(stderr, "usage: bare ROUNDS SIZE\n");
        return 2;
    }
    int rounds = atoi(argv[1]);
    size = strtoul(argv[2], NULL, 0);
    uint64_t *acquire = calloc((size_t)rounds, sizeof *acquire), *revoke = calloc((size_t)rounds, sizeof *revoke);
    uint64_t *ping = calloc((size_t)rounds, sizeof *ping);
    int own = start(owner), hold = start(holder);
    for (int i = 0; i < rounds; i++) {
        uint64_t begin = now();
        ask(own, ACQUIRE);
        int fd = receive_fd(own);
        acquire[i] = now() - begin;

        send_fd(hold, fd);
        answered(hold);
        close(fd);
        begin = now();
        ask(own, REVOKE);
        answered(own);
        revoke[i] = now() - begin;
        ask(hold, 0);
        answered(hold);

        begin = now();
        ask(own, PING);
        answered(own);
        ping[i] = now() - begin;
    }
    report("acquire_between_calls", acquire, rounds);
    for (int i = 0; i < rounds; i++) {
        uint64_t begin = now();
        ask(own, ACQUIRE);
        int fd = receive_fd(own);
        acquire[i] = now() - begin;
        close(fd);
    }
    report("acquire_to_fd", acquire, rounds);
    report("revoke_to_gone", revoke, rounds);
    report("round_trip", ping, rounds);
    return 0;
}
