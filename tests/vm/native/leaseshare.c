// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease promises of buffers that somebody else has, or that are kept in places where nobody looks.
//
//     leaseshare ADDRESS ADDRESS
//
// Both are ivshmem, whose BAR 2 is plain memory.
#define _GNU_SOURCE
#include "lease_check.h"

#include <sys/socket.h>
#include <sys/wait.h>

static struct lease_device other;

static void answer(int socket)
{
    char byte;
    if (write(socket, "a", 1) != 1 || read(socket, &byte, 1) != 1)
        _exit(99);
}

static void send_fd(int socket, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) != 1)
        fail("sendmsg", "an fd");
}

static int receive_fd(int socket)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void expect_exit(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        wrong("the child ended with status 0x%x", status);
}

static void a_forked_child_loses_its_mapping(void)
{
    int pair[2], fd = buffer(0x20000, 2 * PAGE);
    uint8_t *at = map(fd, 2 * PAGE);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    EXPECT(0, poke(at, 0xf0f0));
    pid_t child = fork();
    if (!child) {
        uint32_t value = 0;
        if (peek(at, &value) || value != 0xf0f0 || peek(at + PAGE, &value))
            _exit(1);
        answer(pair[1]);
        _exit(read_signal(at) != SIGBUS || read_signal(at + PAGE) != SIGBUS ? 2 : 0);
    }
    read(pair[0], &(char){ 0 }, 1);
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    write(pair[0], "g", 1);
    expect_exit(child);
    EXPECT(SIGBUS, read_signal(at));
    munmap(at, 2 * PAGE);
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

static void a_process_that_the_fd_was_passed_to_loses_it(void)
{
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pid_t child = fork();
    if (!child) {
        int fd = receive_fd(pair[1]);
        uint8_t *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED || poke(at, 0xabcd))
            _exit(1);
        answer(pair[1]);
        _exit(read_signal(at) != SIGBUS || map_error(fd, PAGE, PROT_READ, MAP_SHARED, 0) != ENODEV ? 2 : 0);
    }
    int fd = buffer(0x21000, PAGE);
    send_fd(pair[0], fd);
    read(pair[0], &(char){ 0 }, 1);
    EXPECT(0xabcd, device_value(0x21000));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    close(fd);
    write(pair[0], "g", 1);
    expect_exit(child);
    close(pair[0]);
    close(pair[1]);
}

static void an_fd_that_sits_in_a_socket_is_dead_when_it_comes_out(void)
{
    int pair[2], fd = buffer(0x22000, PAGE);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send_fd(pair[0], fd);
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    close(fd);
    fd = receive_fd(pair[1]);
    EXPECT_ERROR(ENODEV, map_error(fd, PAGE, PROT_READ, MAP_SHARED, 0));
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKED, lease_state(device.fd, fd));
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

static void a_path_descriptor_gives_no_access(void)
{
    char link[64];
    int fd = buffer(0x23000, PAGE);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int path = open(link, O_PATH | O_CLOEXEC);
    EXPECT(-1, open(link, O_RDWR | O_CLOEXEC));
    EXPECT_ERROR(EBADF, map_error(path, PAGE, PROT_READ, MAP_SHARED, 0));
    EXPECT_ERROR(EBADF, lease_revoke(device.fd, path));
    close(fd);
    // Only the dentry is left now. What walks all buffers must cope with that.
    set_command(command() & ~2);
    set_command(command() | 2);
    close(path);
}

// A type1 container keeps the addresses of what it maps, and nothing tells it of a revoke.
static void a_container_cannot_keep_a_mapping(void)
{
    int fd = buffer(0x93000, PAGE);
    uint8_t *at = map(fd, PAGE);
    struct vfio_iommu_type1_dma_map dma = {
        .argsz = sizeof dma, .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE, .vaddr = (uintptr_t)at, .iova = 0x100000, .size = PAGE
    };
    EXPECT(0, poke(at, 1));
    EXPECT_ERROR(EFAULT, ioctl(other.container, VFIO_IOMMU_MAP_DMA, &dma) ? errno : 0);
    munmap(at, PAGE);
    close(fd);
}

static const struct check checks[] = {
    CHECK(a_forked_child_loses_its_mapping),
    CHECK(a_process_that_the_fd_was_passed_to_loses_it),
    CHECK(an_fd_that_sits_in_a_socket_is_dead_when_it_comes_out),
    CHECK(a_path_descriptor_gives_no_access),
    CHECK(a_container_cannot_keep_a_mapping),
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: leaseshare ADDRESS ADDRESS\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    touch_init();
    device = lease_open(argv[1]);
    other = lease_open(argv[2]);
    return run_checks(checks, sizeof checks / sizeof *checks);
}
