// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease promises of buffers that somebody else has, or that are kept in places where nobody looks.
//
//     leaseshare ADDRESS ADDRESS
//
// Both are ivshmem, whose BAR 2 is plain memory.
#define _GNU_SOURCE
#include "lease_check.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../importer/barbroker_importer.h"

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

static int importer_of(int dmabuf, int *error)
{
    struct barbroker_importer_attach attach = { .dmabuf_fd = dmabuf };
    int fd = open_or_fail("/dev/barbroker-importer");
    *error = ioctl(fd, BARBROKER_IMPORTER_ATTACH, &attach) ? errno : 0;
    return fd;
}

static int importer_map(int importer) { return ioctl(importer, BARBROKER_IMPORTER_MAP) ? errno : 0; }

static struct barbroker_importer_status importer_status(int importer)
{
    struct barbroker_importer_status status = { 0 };
    ioctl(importer, BARBROKER_IMPORTER_STATUS, &status);
    return status;
}

// An importer that has the buffer mapped and does not let go.
static int holding_importer(int dmabuf)
{
    struct barbroker_importer_mode mode = { .mode = BARBROKER_IMPORTER_HOLD };
    int error, importer = importer_of(dmabuf, &error);
    EXPECT_ERROR(0, error);
    EXPECT_ERROR(0, ioctl(importer, BARBROKER_IMPORTER_MODE, &mode) ? errno : 0);
    EXPECT_ERROR(0, importer_map(importer));
    return importer;
}

static void on_alarm(int signal) { (void)signal; }

// From half a second from now on, until it is turned off: whatever system call waits is interrupted.
static void interrupt(bool on)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval timer = { 0 };
    if (on)
        timer = (struct itimerval){ .it_value.tv_usec = 500000, .it_interval.tv_usec = 100000 };
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void *revoke_in_thread(void *fd)
{
    // The other thread gets the signals.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    return (void *)(intptr_t)lease_revoke(device.fd, (int)(intptr_t)fd);
}

static void a_revoke_that_waits_for_an_importer_can_be_interrupted(void)
{
    int fd = buffer(0x96000, PAGE), error;
    uint8_t *at = map(fd, PAGE);
    EXPECT(0, poke(at, 1));
    int importer = holding_importer(fd);
    interrupt(true);
    EXPECT_ERROR(EINTR, lease_revoke(device.fd, fd));
    interrupt(false);
    EXPECT(1, importer_status(importer).mapped);
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKING, lease_state(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT_ERROR(ENODEV, map_error(fd, PAGE, PROT_READ, MAP_SHARED, 0));
    int late = importer_of(fd, &error);
    EXPECT_ERROR(ENODEV, error);
    interrupt(true);
    EXPECT_ERROR(EINTR, lease_revoke(device.fd, fd));
    interrupt(false);

    // Two that wait: one is told that it was done, the other that it had been.
    pthread_t threads[2];
    void *results[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, revoke_in_thread, (void *)(intptr_t)fd);
    usleep(200000);
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKING, lease_state(device.fd, fd));
    EXPECT(0, ioctl(importer, BARBROKER_IMPORTER_UNMAP));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], &results[i]);
    EXPECT(EBADFD, (long)results[0] + (long)results[1]);
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKED, lease_state(device.fd, fd));
    EXPECT_ERROR(ENODEV, importer_map(importer));
    EXPECT_ERROR(EBADFD, lease_revoke(device.fd, fd));
    munmap(at, PAGE);
    close(importer);
    close(late);
    close(fd);
}

static void memory_stays_on_when_an_importer_holds_on_to_it(void)
{
    int fd = buffer(0x97000, PAGE);
    uint8_t *at = map(fd, PAGE);
    uint16_t on = command() | 2, off = on & ~2;
    int importer = holding_importer(fd);
    interrupt(true);
    EXPECT(-1, pwrite(device.fd, &off, sizeof off, lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL) + 4));
    EXPECT_ERROR(EINTR, errno);
    interrupt(false);
    EXPECT(on, command());
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, read_signal(at));
    EXPECT(1, importer_status(importer).mapped);
    munmap(at, PAGE);
    close(importer);
    close(fd);
}

static void a_reset_that_waits_for_an_importer_can_be_killed(void)
{
    int fd = buffer(0x98000, PAGE), status;
    int importer = holding_importer(fd);
    pid_t child = fork();
    if (!child) {
        ioctl(device.fd, VFIO_DEVICE_RESET);
        _exit(0);
    }
    while (!importer_status(importer).told)
        usleep(10000);
    usleep(100000);
    EXPECT(0, waitpid(child, &status, WNOHANG));
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    int beside = buffer(0x99000, PAGE);
    EXPECT_ERROR(0, lease_revoke(device.fd, beside));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, ioctl(importer, BARBROKER_IMPORTER_UNMAP));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    close(importer);
    close(fd);
    close(beside);
}

static void an_importer_cannot_write_to_a_read_only_buffer(void)
{
    int fd = lease_export_range(device.fd, 2, O_RDONLY, 0, PAGE), error;
    int importer = importer_of(fd, &error);
    EXPECT_ERROR(0, error);
    EXPECT_ERROR(EACCES, importer_map(importer));
    close(importer);
    close(fd);
}

static const struct check checks[] = {
    CHECK(a_forked_child_loses_its_mapping),
    CHECK(a_process_that_the_fd_was_passed_to_loses_it),
    CHECK(an_fd_that_sits_in_a_socket_is_dead_when_it_comes_out),
    CHECK(a_path_descriptor_gives_no_access),
    CHECK(a_container_cannot_keep_a_mapping),
    CHECK(a_revoke_that_waits_for_an_importer_can_be_interrupted),
    CHECK(memory_stays_on_when_an_importer_holds_on_to_it),
    CHECK(a_reset_that_waits_for_an_importer_can_be_killed),
    CHECK(an_importer_cannot_write_to_a_read_only_buffer),
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
