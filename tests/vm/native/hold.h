// SPDX-License-Identifier: Apache-2.0
// A process that can reach a buffer, in one of the ways of the revocation matrix (guest/matrix.sh), and says on request what it sees there: what
// matrixhold, which maps it, and matriximport, which has a device import it, have in common.
//
//     PROGRAM DIRECTORY NAME WAY
//
// WAY: client     reaches the buffer of the descriptor BARBROKER_FD_0, as the command of `barctl run` has it
//      passed     gets the descriptor through NAME.sock
//      unread     has it waiting in a socket, receives it when it first tries
//      opath      gets it, keeps it with O_PATH only, opens it again through /proc/self/fd when it tries
//      bystander  as client, and writes and verifies without a pause
//
// Requests, each of which is answered with one line:
//      fill SEED   writes every word:                          done
//      try SEED    looks at every page:                        live | how access is refused; broken ... when pages differ
//      again SEED  reaches it anew and looks:                  as try
//      check SEED  reads every word:                           intact
//      fork NAME   a child that has the access and not the descriptor, and answers as NAME
//      pass PATH   sends the descriptor to this socket:        passed
//      report      of a bystander:                             rounds N errors N
//      quit
// SIGTERM is ignored: these are the clients that do not let go.
#pragma once
#include "talk.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>

// What a program defines.
static const char *const how_reached;                   // its word for "again"
static int reach(int fd);                               // 0, or the error with which access was refused
static void leave(void);                                // gives up what reach got
static const char *look(uint64_t seed);                 // "live", how the access that there was is refused, or "broken: ..."
static const char *fill(uint64_t seed);                 // "done" or what went wrong
static const char *verify(uint64_t seed);               // "intact" or the first difference

static int file = -1;
static int waiting = -1;
static int reached;
static size_t size;

// One word for every place and seed.
static uint64_t word(uint64_t seed, size_t index) { return (seed << 40) ^ (index * 0x9e3779b97f4a7c15ULL); }

static __attribute__((format(printf, 1, 2))) const char *told(const char *format, ...)
{
    static char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

// Reaches it anew and looks.
static void try_descriptor(uint64_t seed, int fd, const char *seen)
{
    int error = reach(fd);
    reached |= !error;
    answer("%s%s%s%s", seen, *seen ? how_reached : "", *seen ? " " : "", error ? strerrorname_np(error) : look(seed));
}

static void try_again_by_path(uint64_t seed)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int again = open(path, O_RDWR | O_CLOEXEC);
    if (again < 0) {
        answer("%s", strerrorname_np(errno));
        return;
    }
    try_descriptor(seed, again, "opened, ");
    close(again);
    if (reached)
        leave();
    reached = 0;
}

static void try_access(const char *way, uint64_t seed)
{
    char seen[256];
    if (reached) {
        snprintf(seen, sizeof seen, "%s", look(seed));
        // Who has the descriptor must not get it again either.
        if (!strcmp(seen, "live") || !strncmp(seen, "broken", 6) || file < 0)
            answer("%s", seen);
        else
            try_descriptor(seed, file, strcat(seen, ", "));
    } else if (!strcmp(way, "unread")) {
        if (file < 0)
            file = receive_from(waiting);
        try_descriptor(seed, file, "");
    } else {
        try_again_by_path(seed);
    }
}

static void keep_only_path(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int kept = open(path, O_PATH | O_CLOEXEC);
    if (kept < 0)
        give_up("open %s with O_PATH", path);
    close(file);
    file = kept;
}

static void split_off(const char *name)
{
    pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child) {
        answer("forked %d", child);
        return;
    }
    close(file);
    file = -1;
    talk_begin(name);
}

static void obey(const char *way, char *request)
{
    char *argument = strchr(request, ' ');
    uint64_t seed = argument ? strtoull(argument + 1, NULL, 0) : 0;
    if (!strncmp(request, "fill ", 5))
        answer("%s", fill(seed));
    else if (!strncmp(request, "try ", 4))
        try_access(way, seed);
    else if (!strncmp(request, "again ", 6))
        try_descriptor(seed, file, "");
    else if (!strncmp(request, "check ", 6))
        answer("%s", verify(seed));
    else if (!strncmp(request, "fork ", 5))
        split_off(argument + 1);
    else if (!strncmp(request, "pass ", 5)) {
        pass_to(argument + 1, file);
        answer("passed");
    } else if (!strcmp(request, "quit"))
        exit(0);
    else
        answer("no request '%s'", request);
}

static void stand_by(void)
{
    uint64_t rounds = 0, errors = 0, seed = (uint64_t)getpid() << 12;
    char first[256] = "";
    struct pollfd control = { .fd = fileno(talk_in), .events = POLLIN };
    // Takes what the others leave.
    errno = 0;
    if (nice(19) < 0 && errno)
        give_up("nice");
    while (1) {
        const char *seen = fill(++seed);
        if (!strcmp(seen, "done"))
            seen = verify(seed);
        rounds++;
        if (strcmp(seen, "intact") && !errors++)
            snprintf(first, sizeof first, "(the first: round %" PRIu64 ": %s)", rounds, seen);
        if (poll(&control, 1, 0) <= 0)
            continue;
        char *request = talk_next();
        if (!strcmp(request, "report"))
            answer("rounds %" PRIu64 " errors %" PRIu64 " %s", rounds, errors, first);
        else
            obey("bystander", request);
    }
}

static void receive(const char *name, const char *way)
{
    int listener = listen_as(name);
    talk_begin(name);
    waiting = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (waiting < 0)
        give_up("accept");
    // The unread one looks at nothing: the descriptor stays in the kernel's queue.
    if (strcmp(way, "unread"))
        file = receive_from(waiting);
    if (!strcmp(way, "opath"))
        keep_only_path();
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s DIRECTORY NAME client|passed|unread|opath|bystander\n", argv[0]);
        return 2;
    }
    talk_directory = argv[1];
    const char *name = argv[2], *way = argv[3], *inherited = getenv("BARBROKER_FD_0");
    int has_it = !strcmp(way, "client") || !strcmp(way, "bystander");
    signal(SIGTERM, SIG_IGN);
    if (has_it && !inherited)
        give_up("BARBROKER_FD_0 is not set");
    if (has_it)
        file = atoi(inherited);
    else
        receive(name, way);
    if (has_it || !strcmp(way, "passed")) {
        errno = reach(file);
        if (errno)
            give_up("%s", how_reached);
        reached = 1;
    }
    if (has_it)
        talk_begin(name);
    else
        answer("has it");
    if (!strcmp(way, "bystander"))
        stand_by();
    while (1)
        obey(way, talk_next());
}
