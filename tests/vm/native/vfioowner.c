// SPDX-License-Identifier: Apache-2.0
// A process that has a device of VFIO open, exports buffers and takes them back, without any code of the broker.
//
//     vfioowner DIRECTORY NAME ADDRESS
//
// Obeys as matrixhold does (talk.h). Requests, each answered with one line, "0" or the error of the call:
//      export N BAR OFFSET+LENGTH...   buffer number N
//      start N COMMAND                 a shell command with BARBROKER_FD_0, in the background
//      revoke N                        the driver's own revoke of one buffer
//      state N                         live, suspended, revoked, revoking
//      reset                           VFIO_DEVICE_RESET
//      memory 0|1                      the bit in the command register that lets the device decode its BARs
//      close                           the device file: the last one
//      quit
#define _GNU_SOURCE
#include "talk.h"
#include "vfio.h"

#include <linux/pci_regs.h>
#include <linux/types.h>
#include <signal.h>
#include <stddef.h>

enum { BUFFERS = 8, RANGES = 8, FEATURE_DMA_BUF = 11, FEATURE_REVOKE = 0xBA01, FEATURE_STATE = 0xBA03 };

static int device = -1;
static int buffers[BUFFERS];

struct export_feature {
    struct vfio_device_feature head;
    __u32 region_index;
    __u32 open_flags;
    __u32 buffer_flags;
    __u32 nr_ranges;
    struct {
        __u64 offset;
        __u64 length;
    } ranges[RANGES];
};

struct buffer_feature {
    struct vfio_device_feature head;
    __s32 fd;
    __u32 value;
};

static void answer_result(int result) { answer("%s", result < 0 ? strerrorname_np(errno) : "0"); }

static int export(char *words)
{
    struct export_feature feature = { .head = { .argsz = sizeof feature, .flags = FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET }, .open_flags = O_RDWR | O_CLOEXEC };
    char *word = strtok(words, " ");
    feature.region_index = word ? (__u32)atoi(word) : 0;
    while ((word = strtok(NULL, " ")) && feature.nr_ranges < RANGES) {
        char *length;
        feature.ranges[feature.nr_ranges].offset = strtoull(word, &length, 0);
        feature.ranges[feature.nr_ranges++].length = *length ? strtoull(length + 1, NULL, 0) : 0;
    }
    return ioctl(device, VFIO_DEVICE_FEATURE, &feature);
}

// Only the number, as some kernels want no byte more: revoke takes four, state eight.
static int buffer_request(__u32 number, int fd, size_t length, __u32 *value)
{
    struct buffer_feature feature = { .head = { .argsz = (__u32)(sizeof feature.head + length), .flags = number }, .fd = fd };
    int result = ioctl(device, VFIO_DEVICE_FEATURE, &feature);
    if (value)
        *value = feature.value;
    return result;
}

static void answer_state(int fd)
{
    static const char *const names[] = { "live", "suspended", "revoked", "revoking" };
    __u32 state = 0;
    if (buffer_request(FEATURE_STATE | VFIO_DEVICE_FEATURE_GET, fd, 8, &state) < 0)
        answer("%s", strerrorname_np(errno));
    else
        answer("%s", state < 4 ? names[state] : "unknown");
}

static void start(int fd, const char *command)
{
    pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0) {
        signal(SIGCHLD, SIG_DFL);
        char number[16];
        // One that execve keeps; everything else of this process is close-on-exec.
        snprintf(number, sizeof number, "%d", dup(fd));
        setenv("BARBROKER_FD_0", number, 1);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    answer("0");
}

static int set_memory(int on)
{
    struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    __u16 command;
    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config))
        return -1;
    off_t at = (off_t)config.offset + PCI_COMMAND;
    if (pread(device, &command, sizeof command, at) != sizeof command)
        return -1;
    command = (__u16)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
    return pwrite(device, &command, sizeof command, at) == sizeof command ? 0 : -1;
}

static void obey(char *request)
{
    int number = -1, length = 0;
    char verb[16];
    // The verb, perhaps a number, and where the rest begins.
    if (sscanf(request, "%15s %d %n", verb, &number, &length) < 1) {
        answer("EINVAL");
        return;
    }
    int valid = number >= 0 && number < BUFFERS;
    char *rest = request + length;
    if (!strcmp(verb, "export") && valid)
        answer_result(buffers[number] = export(rest));
    else if (!strcmp(verb, "start") && valid)
        start(buffers[number], rest);
    else if (!strcmp(verb, "revoke") && valid)
        answer_result(buffer_request(FEATURE_REVOKE | VFIO_DEVICE_FEATURE_SET, buffers[number], 4, NULL));
    else if (!strcmp(verb, "state") && valid)
        answer_state(buffers[number]);
    else if (!strcmp(verb, "reset"))
        answer_result(ioctl(device, VFIO_DEVICE_RESET));
    else if (!strcmp(verb, "memory"))
        answer_result(set_memory(number));
    else if (!strcmp(verb, "close"))
        answer_result(close(device));
    else if (!strcmp(verb, "quit"))
        exit(0);
    else
        answer("no request '%s'", request);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: vfioowner DIRECTORY NAME ADDRESS\n", stderr);
        return EXIT_USAGE;
    }
    talk_directory = argv[1];
    signal(SIGCHLD, SIG_IGN);
    device = open_device(argv[3]);
    if (set_memory(1))
        fail("pwrite", "the command register");
    talk_begin(argv[2]);
    while (1)
        obey(talk_next());
}
