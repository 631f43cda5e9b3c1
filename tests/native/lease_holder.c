// SPDX-License-Identifier: Apache-2.0

// Plays whoever may hold the fds of a lease: the client that leased it, its forked child, a process that got the fds passed on, one that finds them in an
// unread socket, one that kept only O_PATH handles, a neighbour that writes and reads all the time.
//
//   lease_holder CONTROL NAME
//
// It connects to the SOCK_SEQPACKET socket CONTROL, says "hello NAME PID", and then does what it is told, one packet a command and one packet an
// answer ("ok ..." or "error ..."). Unasked it sends "beat N" (a sign of life with the count of its work) and "notice " with a packet of the fd channel.
// It exits when the control socket closes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_BUFFERS = 8, PACKET = 65536, PAGE = 4096, PULSE_MS = 20 };

struct buffer {
    int fd;
    int path; // O_PATH, or -1
    unsigned char *map;
    size_t size;
};

static struct buffer buffers[MAX_BUFFERS];
static int buffer_count;
static int control = -1, channel = -1, inbox = -1;
static const char *control_path;
static bool beating, working, verifying;
static uint64_t progress, passes, failures;

static sigjmp_buf after_fault;
static volatile sig_atomic_t guarded;

static void on_sigbus(int signal_number)
{
    if (!guarded) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    siglongjmp(after_fault, 1);
}

static void say(const char *format, ...)
{
    char text[PACKET];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (send(control, text, (size_t)length, MSG_NOSIGNAL) < 0)
        exit(0);
}

static int dial(const char *path, int type)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool send_with_fds(int to, const void *data, size_t length, const int *fds, int count)
{
    char space[CMSG_SPACE(sizeof(int) * MAX_BUFFERS)] = { 0 };
    struct iovec part = { (void *)data, length };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(rights), fds, sizeof(int) * (size_t)count);
    return sendmsg(to, &message, MSG_NOSIGNAL) >= 0;
}

// The fds that come with a packet become the buffers.
static ssize_t receive_buffers(int from, void *data, size_t length)
{
    char space[CMSG_SPACE(sizeof(int) * MAX_BUFFERS)];
    struct iovec part = { data, length };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
    ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return got;
    for (struct cmsghdr *rights = CMSG_FIRSTHDR(&message); rights; rights = CMSG_NXTHDR(&message, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
            continue;
        int count = (int)((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < count; i++) {
            struct buffer *buffer = &buffers[buffer_count++];
            *buffer = (struct buffer){ .fd = -1, .path = -1 };
            memcpy(&buffer->fd, CMSG_DATA(rights) + (size_t)i * sizeof(int), sizeof(int));
        }
    }
    return got;
}

static const char *map_buffers(void)
{
    for (int i = 0; i < buffer_count; i++) {
        struct buffer *buffer = &buffers[i];
        off_t size = lseek(buffer->fd, 0, SEEK_END);
        if (size <= 0)
            return "a buffer is empty";
        buffer->size = (size_t)size;
        buffer->map = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
        if (buffer->map == MAP_FAILED) {
            buffer->map = NULL;
            return strerror(errno);
        }
    }
    return NULL;
}

static void answer_mapped(void)
{
    const char *fault = map_buffers();
    if (fault) {
        say("error mapping: %s", fault);
        return;
    }
    size_t total = 0;
    for (int i = 0; i < buffer_count; i++)
        total += buffers[i].size;
    say("ok %d %zu", buffer_count, total);
}

// ---- what can be tried with a buffer ----

enum outcome { ACCESS, BUS, REFUSED };

static enum outcome touch(volatile unsigned char *at, bool write)
{
    if (sigsetjmp(after_fault, 1)) {
        guarded = 0;
        return BUS;
    }
    guarded = 1;
    if (write)
        *at = 0xee;
    else
        (void)*at;
    guarded = 0;
    return ACCESS;
}

static enum outcome touch_all(unsigned char *map, size_t size, bool write)
{
    enum outcome worst = BUS;
    for (size_t at = 0; at < size; at += PAGE)
        if (touch(map + at, write) == ACCESS)
            worst = ACCESS;
    return worst;
}

static enum outcome map_and_touch(int fd, size_t size, int protection)
{
    unsigned char *map = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return REFUSED;
    enum outcome outcome = touch_all(map, size, protection & PROT_WRITE);
    munmap(map, size);
    return outcome;
}

static enum outcome reopen_and_touch(int fd, size_t size)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int opened = open(name, O_RDWR | O_CLOEXEC);
    if (opened < 0)
        return REFUSED;
    unsigned char byte;
    enum outcome outcome = map_and_touch(opened, size, PROT_READ | PROT_WRITE);
    if (pread(opened, &byte, 1, 0) > 0 || pwrite(opened, "x", 1, 0) > 0 || ftruncate(opened, (off_t)size) == 0)
        outcome = ACCESS;
    close(opened);
    return outcome;
}

static const char *const WORDS[] = { [ACCESS] = "ACCESS", [BUS] = "SIGBUS", [REFUSED] = "REFUSED" };

// What every way to the memory gives now: "read=SIGBUS write=SIGBUS ...", the worst of all buffers for each way.
static void probe(size_t expected)
{
    enum { READ, WRITE, MAP_READ, MAP_WRITE, PREAD, PWRITE, GROW, REOPEN, WAYS };
    static const char *const names[WAYS] = { "read", "write", "map-read", "map-write", "pread", "pwrite", "grow", "reopen" };
    int seen[WAYS];
    memset(seen, -1, sizeof seen);
#define SAW(way, outcome) do { int o = (outcome); if (seen[way] < 0 || o < seen[way]) seen[way] = o; } while (0)
    for (int i = 0; i < buffer_count; i++) {
        struct buffer *buffer = &buffers[i];
        size_t size = buffer->size ? buffer->size : expected;
        unsigned char byte;
        if (buffer->map) {
            SAW(READ, touch_all(buffer->map, size, false));
            SAW(WRITE, touch_all(buffer->map, size, true));
        }
        if (buffer->fd >= 0) {
            SAW(MAP_READ, map_and_touch(buffer->fd, size, PROT_READ));
            SAW(MAP_WRITE, map_and_touch(buffer->fd, size, PROT_READ | PROT_WRITE));
            SAW(PREAD, pread(buffer->fd, &byte, 1, 0) > 0 ? ACCESS : REFUSED);
            SAW(PWRITE, pwrite(buffer->fd, "x", 1, 0) > 0 ? ACCESS : REFUSED);
            SAW(GROW, ftruncate(buffer->fd, (off_t)size) == 0 ? ACCESS : REFUSED);
            SAW(REOPEN, reopen_and_touch(buffer->fd, size));
        }
        if (buffer->path >= 0)
            SAW(REOPEN, reopen_and_touch(buffer->path, size));
    }
    char text[512] = "";
    for (int way = 0; way < WAYS; way++)
        if (seen[way] >= 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %s=%s", names[way], WORDS[seen[way]]);
    say("ok%s", text);
}

// ---- commands ----

// The broker takes the owner of a lease from the connect: it is this process that connects, whoever speaks over the connection later.
static void lend_connection(const char *path, int type)
{
    int fd = dial(path, type);
    if (fd < 0) {
        say("error connect: %s", strerror(errno));
        return;
    }
    if (!send_with_fds(control, "ok", 2, &fd, 1))
        exit(0);
    close(fd);
}

// One packet, in hexadecimal, to the fd socket.
static ssize_t send_packet(const char *path, const char *hex, unsigned char *packet)
{
    size_t length = 0;
    for (; hex[0] && hex[1]; hex += 2)
        sscanf(hex, "%2hhx", &packet[length++]);
    if (channel < 0)
        channel = dial(path, SOCK_SEQPACKET);
    return channel < 0 ? -1 : send(channel, packet, length, MSG_NOSIGNAL);
}

// And the answer; its fds become the buffers.
static ssize_t exchange(const char *path, const char *hex, unsigned char *packet)
{
    return send_packet(path, hex, packet) < 0 ? -1 : receive_buffers(channel, packet, PACKET);
}

static void redeem(const char *path, const char *hex)
{
    static unsigned char packet[PACKET];
    ssize_t got = exchange(path, hex, packet);
    // FdResponse: 0x0a is a delivery.
    if (got <= 0 || packet[0] != 0x0a || buffer_count == 0)
        say("error no delivery: %s", got < 0 ? strerror(errno) : got == 0 ? "closed" : "refused");
    else
        answer_mapped();
}

// The answer in hexadecimal, whatever it is.
static void show(const char *path, const char *hex)
{
    static unsigned char packet[PACKET];
    static char text[2 * PACKET + 1];
    ssize_t got = exchange(path, hex, packet);
    if (got < 0) {
        say("error fd socket: %s", strerror(errno));
        return;
    }
    text[0] = 0;
    for (ssize_t i = 0; i < got && i < PACKET / 4; i++)
        snprintf(text + 2 * i, 3, "%02x", packet[i]);
    say("ok %s", text);
}

// A packet that has no answer.
static void tell(const char *path, const char *hex)
{
    static unsigned char packet[PACKET];
    if (send_packet(path, hex, packet) < 0)
        say("error fd socket: %s", strerror(errno));
    else
        say("ok");
}

static void fork_child(const char *name, bool keeps_channel)
{
    pid_t child = fork();
    if (child > 0) {
        say("ok %d", child);
        return;
    }
    if (child < 0) {
        say("error fork: %s", strerror(errno));
        return;
    }
    close(control);
    if (channel >= 0 && !keeps_channel) {
        close(channel);
        channel = -1;
    }
    beating = working = verifying = false;
    control = dial(control_path, SOCK_SEQPACKET);
    if (control < 0)
        exit(1);
    say("hello %s %d", name, getpid());
}

static void *exec_again(void *name)
{
    execl("/proc/self/exe", "lease_holder", control_path, (char *)name, (char *)NULL);
    exit(1);
}

// Becomes another program: all fds but those that it keeps close, and it greets anew. A thread that calls execve() takes the place of the first one.
static void become(char *name, const char *how)
{
    pthread_t thread;
    if (strcmp(how, "keep") == 0)
        fcntl(channel, F_SETFD, 0);
    if (strcmp(how, "thread") != 0)
        exec_again(name);
    pthread_create(&thread, NULL, exec_again, name);
    pthread_join(thread, NULL);
}

static void listen_at(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    inbox = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (inbox < 0 || bind(inbox, (struct sockaddr *)&address, sizeof address) != 0 || listen(inbox, 4) != 0)
        say("error listen: %s", strerror(errno));
    else
        say("ok");
}

static void give(const char *path)
{
    int fds[MAX_BUFFERS];
    for (int i = 0; i < buffer_count; i++)
        fds[i] = buffers[i].fd;
    int to = dial(path, SOCK_SEQPACKET);
    if (to < 0 || !send_with_fds(to, "b", 1, fds, buffer_count))
        say("error give: %s", strerror(errno));
    else
        say("ok");
    if (to >= 0)
        close(to);
}

// Takes what waits in the inbox; maps it if it is still there to be mapped.
static void take(void)
{
    char byte;
    int from = accept(inbox, NULL, NULL);
    if (from < 0 || receive_buffers(from, &byte, 1) != 1 || buffer_count == 0) {
        say("error take: nothing came: %s", strerror(errno));
        return;
    }
    close(from);
    say("ok %d", buffer_count);
}

static void keep_paths_only(void)
{
    for (int i = 0; i < buffer_count; i++) {
        char name[64];
        struct buffer *buffer = &buffers[i];
        snprintf(name, sizeof name, "/proc/self/fd/%d", buffer->fd);
        buffer->path = open(name, O_PATH | O_CLOEXEC);
        if (buffer->path < 0) {
            say("error O_PATH: %s", strerror(errno));
            return;
        }
        if (buffer->map)
            munmap(buffer->map, buffer->size);
        buffer->map = NULL;
        close(buffer->fd);
        buffer->fd = -1;
    }
    say("ok %d", buffer_count);
}

static uint64_t pattern(int buffer, size_t at) { return (passes << 24) ^ ((uint64_t)buffer << 56) ^ at; }

// Writes every page and reads all of it back. Only the broker's mistake can disturb it.
static void work_pass(void)
{
    if (sigsetjmp(after_fault, 1)) {
        guarded = 0;
        failures++;
        verifying = false;
        return;
    }
    guarded = 1;
    for (int i = 0; i < buffer_count; i++)
        for (size_t at = 0; at < buffers[i].size; at += PAGE)
            *(volatile uint64_t *)(buffers[i].map + at) = pattern(i, at);
    for (int i = 0; i < buffer_count; i++)
        for (size_t at = 0; at < buffers[i].size; at += PAGE)
            if (*(volatile uint64_t *)(buffers[i].map + at) != pattern(i, at))
                failures++;
    guarded = 0;
    passes++;
}

// "fill N": every byte becomes N. "expect N": how many bytes are not N.
static void fill(int value)
{
    for (int i = 0; i < buffer_count; i++)
        memset(buffers[i].map, value, buffers[i].size);
    say("ok");
}

static void expect(int value)
{
    size_t wrong = 0;
    for (int i = 0; i < buffer_count; i++)
        for (size_t at = 0; at < buffers[i].size; at++)
            wrong += buffers[i].map[at] != value;
    say("ok %zu", wrong);
}

static void obey(char *command)
{
    char *verb = strtok(command, " "), *first = strtok(NULL, " "), *second = strtok(NULL, " ");
#define IS(word) (verb && strcmp(verb, word) == 0)
    if (IS("lend") && first) {
        lend_connection(first, second ? SOCK_SEQPACKET : SOCK_STREAM);
    } else if (IS("redeem") && second) {
        redeem(first, second);
    } else if (IS("show") && second) {
        show(first, second);
    } else if (IS("tell") && second) {
        tell(first, second);
    } else if (IS("fork") && first) {
        fork_child(first, second);
    } else if (IS("exec") && second) {
        become(first, second);
    } else if (IS("listen") && first) {
        listen_at(first);
    } else if (IS("give") && first) {
        give(first);
    } else if (IS("take")) {
        take();
    } else if (IS("map")) {
        answer_mapped();
    } else if (IS("paths")) {
        keep_paths_only();
    } else if (IS("fill") && first) {
        fill(atoi(first));
    } else if (IS("expect") && first) {
        expect(atoi(first));
    } else if (IS("probe") && first) {
        probe(strtoul(first, NULL, 10));
    } else if (IS("beat") && first) {
        // live: beats with work done; hung: beats without; off: none.
        beating = strcmp(first, "off") != 0;
        working = strcmp(first, "live") == 0;
        say("ok");
    } else if (IS("verify")) {
        verifying = true;
        say("ok");
    } else if (IS("stats")) {
        say("ok %llu %llu", (unsigned long long)passes, (unsigned long long)failures);
    } else {
        say("error unknown command");
    }
}

static void pass_notice_on(void)
{
    static char packet[7 + PACKET] = "notice ";
    ssize_t got = recv(channel, packet + 7, PACKET, 0);
    if (got <= 0) {
        close(channel);
        channel = -1;
    } else if (send(control, packet, 7 + (size_t)got, MSG_NOSIGNAL) < 0) {
        exit(0);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    signal(SIGBUS, on_sigbus);
    signal(SIGCHLD, SIG_IGN);
    control_path = argv[1];
    control = dial(control_path, SOCK_SEQPACKET);
    if (control < 0) {
        perror(control_path);
        return 1;
    }
    say("hello %s %d", argv[2], getpid());
    for (;;) {
        // poll(2) ignores a negative fd.
        struct pollfd waiting[] = { { .fd = control, .events = POLLIN }, { .fd = channel, .events = POLLIN } };
        if (poll(waiting, 2, verifying ? 2 : beating ? PULSE_MS : -1) < 0 && errno != EINTR)
            return 1;
        if (waiting[0].revents) {
            static char command[PACKET + 1];
            ssize_t got = recv(control, command, PACKET, 0);
            if (got <= 0)
                return 0;
            command[got] = 0;
            obey(command);
        }
        if (channel >= 0 && waiting[1].fd == channel && waiting[1].revents)
            pass_notice_on();
        if (verifying)
            work_pass();
        if (beating && (!verifying || passes % 16 == 0)) {
            progress += working;
            say("beat %llu", (unsigned long long)progress);
        }
    }
}
