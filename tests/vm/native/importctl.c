// SPDX-License-Identifier: Apache-2.0
// Drives a VFIO device, its dma-bufs and /dev/barbroker-importer, in one process, for guest scripts.
//
//     importctl COMMAND...        each argument is one command; "-" reads more of them, one a line, from standard input
//
// A command is words. Names of devices (D), buffers (B) and importers (I) are chosen by the caller. Each command prints one line: itself, a colon,
// and "ok" with what it found out, or the name of the error. The program ends with 0 when every command could be tried, else with 2.
//
//     open D ADDRESS              exits as vfiocheck does when the device cannot be had
//     export B D REGION RANGES    RANGES as in 0x3000+0x1000,0x0+0x2000
//     fd B NUMBER                 a buffer that this process has been given
//     revoke B D, state B D       vfio-bar-lease's features
//     reset D, close D, close B, close I
//     peek D REGION OFFSET, poke D REGION OFFSET VALUE     32 bits, through the device's file
//     attach I B [no-p2p] [not-revocable]
//     map I, unmap I, detach I, status I
//     mode I at-once, mode I late MS, mode I hold
//     read I OFFSET, write I OFFSET VALUE, stale-read I OFFSET     32 bits, by the importing device's DMA
//     & COMMAND                   in the background: goes on with the next command
//     pending MS                  ok when the background command is not done within this time, else EALREADY
//     join MS                     waits for the background command and prints its line, else ETIMEDOUT
//     told I MS                   waits until the importer has been told to let go, else ETIMEDOUT
//     sleep MS
#define _GNU_SOURCE
#include "lease_calls.h"
#include "vfio.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "../importer/barbroker_importer.h"

enum { MAX_WORDS = 6, MAX_NAMES = 64, MAX_LINE = 4096 };

static struct {
    char name[32];
    int fd;
} names[MAX_NAMES];
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

struct command {
    char line[MAX_LINE];
    char words[MAX_LINE];
    char *word[MAX_WORDS];
    int count;
    const char *result; // "ok" or the name of an error
    char answer[256];   // what was found out
};

static struct {
    struct command command;
    pthread_t thread;
    bool started;
} background;

static void give_up(const char *what, const char *word)
{
    fflush(stdout);
    fprintf(stderr, "importctl: %s: %s\n", what, word);
    exit(EXIT_USAGE);
}

static unsigned long long number(const char *word)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(word, &end, 0);
    if (end == word || *end || errno)
        give_up("not a number", word);
    return value;
}

static int fd_of(const char *name)
{
    int fd = -1;
    pthread_mutex_lock(&names_lock);
    for (int i = 0; i < MAX_NAMES; i++)
        if (!strcmp(names[i].name, name))
            fd = names[i].fd;
    pthread_mutex_unlock(&names_lock);
    if (fd < 0)
        give_up("no such name", name);
    return fd;
}

// Gives the name to a descriptor, or with -1 takes it away.
static void set_fd(const char *name, int fd)
{
    int place = -1;
    pthread_mutex_lock(&names_lock);
    for (int i = MAX_NAMES - 1; i >= 0; i--)
        if (!names[i].name[0] || !strcmp(names[i].name, name))
            place = i;
    for (int i = 0; i < MAX_NAMES; i++)
        if (!strcmp(names[i].name, name))
            place = i;
    if (place >= 0) {
        names[place].fd = fd;
        snprintf(names[place].name, sizeof names[place].name, "%s", fd < 0 ? "" : name);
    }
    pthread_mutex_unlock(&names_lock);
    if (place < 0)
        give_up("too many names", name);
}

static long long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

__attribute__((format(printf, 2, 3))) static int found(struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command->answer, sizeof command->answer, format, arguments);
    va_end(arguments);
    return 0;
}

static int keep(const char *name, int fd)
{
    if (fd >= 0)
        set_fd(name, fd);
    return fd;
}

static int do_open(struct command *c)
{
    return keep(c->word[1], open_device(c->word[2]));
}

static int do_export(struct command *c)
{
    struct lease_range ranges[LEASE_RANGES_MAX];
    uint32_t count = 0;
    char *rest = c->word[4], *range;
    while ((range = strsep(&rest, ","))) {
        char *length = strchr(range, '+');
        if (!length || count == LEASE_RANGES_MAX)
            give_up("not ranges", c->word[4]);
        *length++ = 0;
        ranges[count++] = (struct lease_range){ number(range), number(length) };
    }
    return keep(c->word[1], lease_export_ranges(fd_of(c->word[2]), number(c->word[3]), O_RDWR, count, ranges));
}

static int do_fd(struct command *c)
{
    return keep(c->word[1], dup((int)number(c->word[2])));
}

static int do_revoke(struct command *c)
{
    errno = lease_revoke(fd_of(c->word[2]), fd_of(c->word[1]));
    return errno ? -1 : 0;
}

static int do_state(struct command *c)
{
    int state = lease_state(fd_of(c->word[2]), fd_of(c->word[1]));
    if (state < 0) {
        errno = -state;
        return -1;
    }
    return found(c, " %s", lease_state_name(state));
}

static int do_reset(struct command *c)
{
    return ioctl(fd_of(c->word[1]), VFIO_DEVICE_RESET);
}

static int do_close(struct command *c)
{
    int fd = fd_of(c->word[1]);
    set_fd(c->word[1], -1);
    return close(fd);
}

// Where in the device's file a register is.
static off_t place(struct command *c)
{
    struct vfio_region_info region = { .argsz = sizeof region, .index = number(c->word[2]) };
    if (ioctl(fd_of(c->word[1]), VFIO_DEVICE_GET_REGION_INFO, &region))
        fail("VFIO_DEVICE_GET_REGION_INFO", c->word[2]);
    return region.offset + number(c->word[3]);
}

static int do_peek(struct command *c)
{
    uint32_t value;
    if (pread(fd_of(c->word[1]), &value, sizeof value, place(c)) < 0)
        return -1;
    return found(c, " 0x%x", value);
}

static int do_poke(struct command *c)
{
    uint32_t value = number(c->word[4]);
    return pwrite(fd_of(c->word[1]), &value, sizeof value, place(c)) < 0 ? -1 : 0;
}

static int do_attach(struct command *c)
{
    struct barbroker_importer_attach attach = { .dmabuf_fd = fd_of(c->word[2]) };
    for (int i = 3; i < c->count; i++) {
        if (!strcmp(c->word[i], "no-p2p"))
            attach.flags |= BARBROKER_IMPORTER_NO_P2P;
        else if (!strcmp(c->word[i], "not-revocable"))
            attach.flags |= BARBROKER_IMPORTER_NOT_REVOCABLE;
        else
            give_up("not a way to attach", c->word[i]);
    }
    int fd = open_or_fail("/dev/barbroker-importer");
    if (ioctl(fd, BARBROKER_IMPORTER_ATTACH, &attach)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return keep(c->word[1], fd);
}

static int do_simple(struct command *c)
{
    static const struct {
        const char *name;
        unsigned long request;
    } calls[] = { { "map", BARBROKER_IMPORTER_MAP }, { "unmap", BARBROKER_IMPORTER_UNMAP }, { "detach", BARBROKER_IMPORTER_DETACH } };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(c->word[0], calls[i].name))
            return ioctl(fd_of(c->word[1]), calls[i].request);
    return -1;
}

static int do_mode(struct command *c)
{
    static const char *const modes[] = { "at-once", "late", "hold" };
    struct barbroker_importer_mode mode = { .mode = ~0u, .delay_ms = c->count > 3 ? number(c->word[3]) : 0 };
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(c->word[2], modes[i]))
            mode.mode = i;
    return ioctl(fd_of(c->word[1]), BARBROKER_IMPORTER_MODE, &mode);
}

static int get_status(const char *name, struct barbroker_importer_status *status)
{
    return ioctl(fd_of(name), BARBROKER_IMPORTER_STATUS, status);
}

static int do_status(struct command *c)
{
    struct barbroker_importer_status status;
    if (get_status(c->word[1], &status))
        return -1;
    return found(c, " attached %u mapped %u told %u segments %u address 0x%llx length 0x%llx", status.attached, status.mapped, status.told,
                 status.segments, status.address, status.length);
}

static int do_dma(struct command *c)
{
    uint32_t value = c->count > 3 ? number(c->word[3]) : 0;
    struct barbroker_importer_dma dma = { .offset = number(c->word[2]), .user = (uintptr_t)&value, .length = sizeof value };
    if (!strcmp(c->word[0], "write"))
        dma.flags = BARBROKER_IMPORTER_TO_BUFFER;
    else if (!strcmp(c->word[0], "stale-read"))
        dma.flags = BARBROKER_IMPORTER_STALE;
    if (ioctl(fd_of(c->word[1]), BARBROKER_IMPORTER_DMA, &dma))
        return -1;
    return dma.flags & BARBROKER_IMPORTER_TO_BUFFER ? 0 : found(c, " 0x%x", value);
}

static int do_told(struct command *c)
{
    long long end = milliseconds() + number(c->word[2]);
    struct barbroker_importer_status status;
    do {
        if (get_status(c->word[1], &status))
            return -1;
        if (status.told)
            return found(c, " %u", status.told);
        sleep_ms(5);
    } while (milliseconds() < end);
    errno = ETIMEDOUT;
    return -1;
}

static int do_sleep(struct command *c)
{
    sleep_ms(number(c->word[1]));
    return 0;
}

static int wait_background(const char *word)
{
    if (!background.started)
        give_up("nothing in the background for", word);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    long long end = until.tv_sec * 1000LL + until.tv_nsec / 1000000 + number(word);
    int error = pthread_timedjoin_np(background.thread, NULL, &(struct timespec){ end / 1000, end % 1000 * 1000000 });
    background.started = error != 0;
    return error;
}

static int do_pending(struct command *c)
{
    if (wait_background(c->word[1]) == ETIMEDOUT)
        return 0;
    errno = EALREADY;
    return -1;
}

static int do_join(struct command *c)
{
    errno = wait_background(c->word[1]);
    if (errno)
        return -1;
    return found(c, " %s: %s%s", background.command.line, background.command.result, background.command.answer);
}

static const struct {
    const char *name;
    int least, most;
    int (*run)(struct command *);
} table[] = {
    { "open", 3, 3, do_open },         { "export", 5, 5, do_export },    { "fd", 3, 3, do_fd },          { "revoke", 3, 3, do_revoke },
    { "state", 3, 3, do_state },       { "reset", 2, 2, do_reset },      { "close", 2, 2, do_close },    { "peek", 4, 4, do_peek },
    { "poke", 5, 5, do_poke },         { "attach", 3, 5, do_attach },    { "map", 2, 2, do_simple },     { "unmap", 2, 2, do_simple },
    { "detach", 2, 2, do_simple },     { "mode", 3, 4, do_mode },        { "status", 2, 2, do_status },  { "read", 3, 3, do_dma },
    { "write", 4, 4, do_dma },         { "stale-read", 3, 3, do_dma },   { "told", 3, 3, do_told },      { "sleep", 2, 2, do_sleep },
    { "pending", 2, 2, do_pending },   { "join", 2, 2, do_join },
};

static void parse(struct command *command, const char *line)
{
    snprintf(command->line, sizeof command->line, "%s", line);
    memcpy(command->words, command->line, sizeof command->words);
    char *rest = command->words, *word;
    command->count = 0;
    command->answer[0] = 0;
    while ((word = strsep(&rest, " \n")))
        if (*word) {
            if (command->count == MAX_WORDS)
                give_up("too many words", line);
            command->word[command->count++] = word;
        }
}

static void *run(void *argument)
{
    struct command *command = argument;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, command->word[0]))
            continue;
        if (command->count < table[i].least || command->count > table[i].most)
            give_up("wrong number of words", command->line);
        command->result = table[i].run(command) < 0 ? strerrorname_np(errno) : "ok";
        return NULL;
    }
    give_up("no such command", command->line);
    return NULL;
}

static void execute(char *line)
{
    line[strcspn(line, "\n")] = 0;
    if (line[0] == '&') {
        if (background.started)
            give_up("there is one in the background already", line);
        parse(&background.command, line + 1 + strspn(line + 1, " "));
        if (pthread_create(&background.thread, NULL, run, &background.command))
            give_up("no thread for", line);
        background.started = true;
        printf("%s: started\n", line);
        return;
    }
    struct command *command = malloc(sizeof *command);
    parse(command, line);
    if (command->count) {
        run(command);
        printf("%s: %s%s\n", command->line, command->result, command->answer);
    }
    free(command);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: importctl COMMAND...\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        char line[MAX_LINE];
        if (strcmp(argv[i], "-"))
            execute(strcpy(line, argv[i]));
        else
            while (fgets(line, sizeof line, stdin))
                execute(line);
    }
    return 0;
}
