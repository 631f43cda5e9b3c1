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
#include "lease_calls.h"
#include "talk.h"
#include "vfio.h"

#include <linux/pci_regs.h>
#include <linux/types.h>
#include <signal.h>
#include <stddef.h>

enum { BUFFERS = 8, RANGES = 8 };

static int device = -1;
static int buffers[BUFFERS];

static const char *error_name(int error) { return error ? strerrorname_np(error) : "0"; }

static void answer_result(int result) { answer("%s", error_name(result < 0 ? errno : 0)); }

static int export(char *words)
{
    struct lease_range ranges[RANGES];
    __u32 count = 0;
    char *word = strtok(words, " ");
    __u32 region = word ? (__u32)atoi(word) : 0;
    while ((word = strtok(NULL, " ")) && count < RANGES) {
        char *length;
        ranges[count].offset = strtoull(word, &length, 0);
        ranges[count++].length = *length ? strtoull(length + 1, NULL, 0) : 0;
    }
    return lease_export_ranges(device, region, O_RDWR, count, ranges);
}

static void answer_state(int fd)
{
    int state = lease_state(device, fd);
    answer("%s", state < 0 ? strerrorname_np(-state) : lease_state_name(state));
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
        answer("%s", error_name(lease_revoke(device, buffers[number])));
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
