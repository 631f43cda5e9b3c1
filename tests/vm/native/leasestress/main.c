// SPDX-License-Identifier: Apache-2.0
// Shakes vfio-bar-lease, and finds out whether it keeps its promise: nothing reaches a buffer after its revoke, or the close of its device, has
// returned; live buffers keep working with their own content; nothing is leaked.
//
//     leasestress [-d SECONDS] [-s SEED] [-c CLIENTS] [-p] NAME=ADDRESS...
//
// A process for each device exports, revokes, resets, closes; client processes take the fds, map, read, fork and so on; this one kills and stops
// some of them now and then. The readers know when each buffer's end was reported (access.c). BAR 2 of each device must be memory.
// Prints how often each kind of thing happened. Ends with 0; with 1 when something was wrong, or a kind of thing never happened (-p: that
// is good too); 2 for usage.
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HANG_SECONDS = 60 };

enum required { always, never, importer };

static const struct {
    const char *text;
    enum required required;
} kinds[] = {
#define X(name, required, text) { text, required },
    KINDS(X)
#undef X
};

static pid_t owners[MAX_DEVICES], clients[MAX_CLIENTS];
static unsigned client_count = 2;
static uint64_t seed, duration = 10;
static bool partial;

static pid_t start(void (*run)(unsigned, uint64_t), unsigned index)
{
    uint64_t own = next_random(&seed);
    pid_t process = fork();
    if (process < 0)
        broken("fork: %s", strerror(errno));
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(index, own);
        _exit(0);
    }
    return process;
}

static void open_sockets(void)
{
    for (unsigned i = 0; i <= MAX_DEVICES; i++) {
        int ends[2], room = 8192;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
            broken("socketpair: %s", strerror(errno));
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        sockets[i] = (struct sockets){ ends[0], ends[1] };
    }
}

// The kernel closes what it had, and with that ends its buffers; that is over when the process has been waited for.
static void kill_owner(unsigned index)
{
    struct device *device = &shared->devices[index];
    uint64_t none = 0;
    // SIGBUS is to be expected from now on.
    atomic_fetch_add(&device->started, 1);
    kill(owners[index], SIGKILL);
    waitpid(owners[index], NULL, 0);
    unsigned number = atomic_load(&device->epoch);
    struct epoch *epoch = &device->epochs[number];
    atomic_store(&epoch->ending, true);
    atomic_compare_exchange_strong(&epoch->over_at, &none, now());
    trace(device, OWNER_KILLED, NULL, 0);
    count(OWNER_KILLED);
    atomic_store(&device->epoch, number + 1);
    // What it had begun is over, too.
    atomic_store(&device->finished, atomic_load(&device->started));
    owners[index] = start(run_owner, index);
}

static void kill_client(unsigned index)
{
    kill(clients[index], SIGKILL);
    waitpid(clients[index], NULL, 0);
    count(CLIENT_KILLED);
    clients[index] = start(run_client, index);
}

static void stop_client(unsigned index, uint64_t *random)
{
    kill(clients[index], SIGSTOP);
    pause_randomly(random, 200000);
    kill(clients[index], SIGCONT);
    count(CLIENT_STOPPED);
}

// What each process waits for in the kernel.
static void print_stacks(const char *role, pid_t process)
{
    char command[160];
    fprintf(stderr, "%s %d:\n", role, process);
    snprintf(command, sizeof command, "for t in /proc/%d/task/*; do echo \"$t $(cat $t/wchan)\"; cat $t/stack; done >&2", process);
    if (system(command))
        fprintf(stderr, "  (no stacks)\n");
}

// True when a process has done nothing for a long time.
static bool hangs(atomic_ulong *beats, unsigned long *seen, uint64_t *since)
{
    unsigned long beat = atomic_load(beats);
    if (beat != *seen || !*since) {
        *seen = beat;
        *since = now();
    }
    return now() - *since > (uint64_t)HANG_SECONDS * 1000000000;
}

static void watch(void)
{
    static unsigned long seen[MAX_DEVICES + MAX_CLIENTS];
    static uint64_t since[MAX_DEVICES + MAX_CLIENTS];
    for (unsigned i = 0; i < shared->device_count; i++)
        if (hangs(&shared->owner_beats[i], &seen[i], &since[i])) {
            print_stacks("owner", owners[i]);
            broken("the owner of %s has done nothing for %d s", shared->devices[i].name, HANG_SECONDS);
        }
    for (unsigned i = 0; i < client_count; i++)
        if (hangs(&shared->client_beats[i], &seen[MAX_DEVICES + i], &since[MAX_DEVICES + i])) {
            print_stacks("client", clients[i]);
            broken("client %u has done nothing for %d s", i, HANG_SECONDS);
        }
}

static void reap(void)
{
    int status;
    pid_t process;
    // Forked children of killed clients come here, too.
    while ((process = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < MAX_DEVICES + MAX_CLIENTS; i++)
            if (process == (i < MAX_DEVICES ? owners[i] : clients[i - MAX_DEVICES]))
                broken("%s %d ended with wait status 0x%x", i < MAX_DEVICES ? "owner" : "client", process, status);
}

static void disturb(uint64_t *random)
{
    unsigned what = below(random, 100);
    if (what < 3)
        kill_owner(below(random, shared->device_count));
    else if (what < 8)
        kill_client(below(random, client_count));
    else if (what < 12)
        stop_client(below(random, client_count), random);
}

static void wait_for(pid_t process, const char *role)
{
    int status;
    uint64_t end = now() + (uint64_t)HANG_SECONDS * 1000000000;
    while (waitpid(process, &status, WNOHANG) == 0) {
        if (now() > end) {
            print_stacks(role, process);
            broken("%s %d does not end", role, process);
        }
        usleep(10000);
    }
    if (status && !atomic_load(&shared->failed))
        broken("%s %d ended with wait status 0x%x", role, process, status);
}

static void run(void)
{
    uint64_t random = next_random(&seed), end = now() + duration * 1000000000;
    for (unsigned i = 0; i < shared->device_count; i++)
        owners[i] = start(run_owner, i);
    for (unsigned i = 0; i < client_count; i++)
        clients[i] = start(run_client, i);
    while (now() < end && !atomic_load(&shared->failed)) {
        usleep(100000);
        reap();
        watch();
        disturb(&random);
    }
    atomic_store(&shared->stop, true);
    if (atomic_load(&shared->failed))
        return;
    for (unsigned i = 0; i < shared->device_count; i++)
        wait_for(owners[i], "owner");
    for (unsigned i = 0; i < client_count; i++)
        wait_for(clients[i], "client");
}

// Returns whether everything happened.
static bool print_counts(void)
{
    bool good = true, imports = importer_is_there();
    for (int i = 0; i < KIND_COUNT; i++) {
        unsigned long count = atomic_load(&shared->counts[i]);
        bool missing = !count && (kinds[i].required == always || (kinds[i].required == importer && imports));
        printf("%12lu  %s%s\n", count, kinds[i].text, missing ? "  <- never" : "");
        good &= !missing;
    }
    return good;
}

static void add_device(char *argument)
{
    char *address = strchr(argument, '=');
    if (!address || shared->device_count == MAX_DEVICES) {
        fprintf(stderr, "leasestress: not a device: %s\n", argument);
        exit(2);
    }
    struct device *device = &shared->devices[shared->device_count++];
    *address++ = 0;
    snprintf(device->name, sizeof device->name, "%s", argument);
    snprintf(device->address, sizeof device->address, "%s", address);
}

static void parse(int argc, char **argv)
{
    int option;
    seed = now() ^ (uint64_t)getpid() << 40;
    while ((option = getopt(argc, argv, "d:s:c:p")) >= 0) {
        uint64_t value = strtoull(optarg ? optarg : "", NULL, 0);
        if (option == 'd')
            duration = value;
        else if (option == 's')
            seed = value;
        else if (option == 'c' && value && value <= MAX_CLIENTS)
            client_count = (unsigned)value;
        else if (option == 'p')
            partial = true;
        else
            exit(2);
    }
    while (optind < argc)
        add_device(argv[optind++]);
    if (!shared->device_count) {
        fputs("usage: leasestress [-d SECONDS] [-s SEED] [-c CLIENTS] [-p] NAME=ADDRESS...\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) {
        perror("leasestress: mmap");
        return 1;
    }
    shared->begin = now();
    parse(argc, argv);
    printf("seed 0x%llx, %llu s, %u devices, %u clients\n", (unsigned long long)seed, (unsigned long long)duration, shared->device_count, client_count);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 4096, 4096 });
    open_sockets();
    run();
    bool complete = print_counts();
    if (atomic_load(&shared->failed)) {
        puts("failed");
        return 1;
    }
    puts(complete ? "good" : "not everything happened");
    return complete || partial ? 0 : 1;
}
