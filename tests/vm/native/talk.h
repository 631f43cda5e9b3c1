// SPDX-License-Identifier: Apache-2.0
// How the matrix's processes are told what to do, answer, and pass descriptors on. DIRECTORY/NAME.in and .out are FIFOs that the script made:
// a line in, a line out. DIRECTORY/NAME.sock is a Unix socket.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char *talk_directory;
static FILE *talk_in;
static int talk_out = -1;

static __attribute__((unused, noreturn, format(printf, 1, 2))) void give_up(const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s %d: ", program_invocation_short_name, getpid());
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", strerrorname_np(error));
    exit(1);
}

static int talk_open(const char *name, const char *end)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.%s", talk_directory, name, end);
    // For both directions: neither an open nor a read ends for want of the other side.
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        give_up("open %s", path);
    return fd;
}

static __attribute__((format(printf, 1, 2))) void answer(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vdprintf(talk_out, format, arguments);
    va_end(arguments);
    dprintf(talk_out, "\n");
}

// From now on this process is NAME. Says so.
static void talk_begin(const char *name)
{
    if (talk_in)
        fclose(talk_in);
    if (talk_out >= 0)
        close(talk_out);
    talk_in = fdopen(talk_open(name, "in"), "r");
    talk_out = talk_open(name, "out");
    answer("ready %d", getpid());
}

// The next request, without its end of line.
static char *talk_next(void)
{
    static char line[512];
    if (!fgets(line, sizeof line, talk_in))
        give_up("fgets");
    line[strcspn(line, "\n")] = 0;
    return line;
}

static int seqpacket_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        give_up("socket");
    return fd;
}

static __attribute__((unused)) int listen_as(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.sock", talk_directory, name);
    struct sockaddr_un address;
    int fd = seqpacket_socket(path, &address);
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(address.sun_path, 0777) || listen(fd, 1))
        give_up("listen %s", address.sun_path);
    return fd;
}

union rights {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

static __attribute__((unused)) void pass_to(const char *path, int file)
{
    struct sockaddr_un address;
    int fd = seqpacket_socket(path, &address);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        give_up("connect %s", address.sun_path);
    char byte = 'f';
    struct iovec data = { &byte, 1 };
    union rights rights = { .header = { .cmsg_len = CMSG_LEN(sizeof file), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    memcpy(CMSG_DATA(&rights.header), &file, sizeof file);
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != 1)
        give_up("sendmsg %s", address.sun_path);
    close(fd);
}

static __attribute__((unused)) int receive_from(int fd)
{
    char byte;
    struct iovec data = { &byte, 1 };
    union rights rights;
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
    ssize_t length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (length != 1 || !header || header->cmsg_type != SCM_RIGHTS)
        give_up("recvmsg gave %zd bytes and no descriptor", length);
    int file;
    memcpy(&file, CMSG_DATA(header), sizeof file);
    return file;
}
