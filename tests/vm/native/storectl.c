// SPDX-License-Identifier: Apache-2.0
// Changes what the service manager keeps of the unit that it is run by (sd_pid_notify_with_fds(3)), for which the unit needs NotifyAccess=all.
//
//     storectl drop NAME              all descriptors of that name
//     storectl keep NAME PATH         another one: of a file
//     storectl keep NAME PID NUMBER   of a descriptor of a process
//
// Ends when the manager has acted on it.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void notify(const char *text, int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        errx(1, "no NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    strcpy(to.sun_path, path);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = 0;
    struct iovec data = { .iov_base = (void *)text, .iov_len = strlen(text) };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)), .msg_iov = &data, .msg_iovlen = 1
    };
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager < 0 || sendmsg(manager, &message, 0) < 0)
        err(1, "%s", path);
    close(manager);
}

// The manager closes its end when it comes to this.
static void barrier(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        err(1, "pipe2");
    notify("BARRIER=1", ends[1]);
    close(ends[1]);
    if (poll(&(struct pollfd){ .fd = ends[0] }, 1, 30000) != 1)
        errx(1, "the manager has not acted on it in 30 s");
}

static int descriptor_of(const char *pid, const char *number)
{
    int process = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
    int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, atoi(number), 0);
    if (fd < 0)
        err(1, "descriptor %s of process %s", number, pid);
    return fd;
}

int main(int count, char **words)
{
    char text[512];
    if (count == 3 && !strcmp(words[1], "drop")) {
        snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", words[2]);
        notify(text, -1);
    } else if ((count == 4 || count == 5) && !strcmp(words[1], "keep")) {
        int fd = count == 5 ? descriptor_of(words[3], words[4]) : open(words[3], O_RDWR | O_CLOEXEC);
        if (fd < 0)
            err(1, "%s", words[3]);
        snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", words[2]);
        notify(text, fd);
    } else {
        errx(2, "usage: storectl drop NAME | keep NAME PATH | keep NAME PID NUMBER");
    }
    barrier();
}
