// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease promises, tried from one program that owns two devices.
//
//     leasecheck ADDRESS ADDRESS BIG-ADDRESS
//
// All are ivshmem, whose BAR 2 is plain memory. Prints "pass NAME" or "fail NAME: what was wrong" for each thing tried; ends with 0 when it got through.
#define _GNU_SOURCE
#include "lease.h"

#include <pthread.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct lease_device device, other;
static const char *big_address;
static const char *current;
static bool failed;

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("fail %s: ", current);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    failed = true;
}

static const char *name(int error) { return error < 0 ? strerrorname_np(-error) : error ? strerrorname_np(error) : "0"; }

#define EXPECT_ERROR(wanted, call)                                              \
    do {                                                                        \
        int got_ = (call);                                                      \
        if (got_ != (wanted))                                                   \
            wrong("%s gave %s, not %s", #call, name(got_), name(wanted));       \
    } while (0)
#define EXPECT(wanted, call)                                                    \
    do {                                                                        \
        long wanted_ = (wanted), got_ = (call);                                 \
        if (got_ != wanted_)                                                    \
            wrong("line %d: %s is %ld, not %ld", __LINE__, #call, got_, wanted_); \
    } while (0)

static int buffer(uint64_t offset, uint64_t length)
{
    int fd = lease_export_range(device.fd, 2, O_RDWR, offset, length);
    if (fd < 0)
        fail("VFIO_DEVICE_FEATURE_DMA_BUF", device.address);
    return fd;
}

static int map_error(int fd, size_t length, int protection, int flags, off_t offset)
{
    void *at = mmap(NULL, length, protection, flags, fd, offset);
    if (at == MAP_FAILED)
        return errno;
    munmap(at, length);
    return 0;
}

static uint8_t *map(int fd, size_t length)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail("mmap", "of a buffer");
    return at;
}

static uint32_t value_at(const volatile uint8_t *at)
{
    uint32_t value = 0;
    int signal = peek(at, &value);
    if (signal)
        wrong("reading got signal %d", signal);
    return value;
}

static int read_signal(const volatile uint8_t *at)
{
    uint32_t value;
    return peek(at, &value);
}

// The device's memory by way of the device's fd, which no buffer has a part in.
static uint32_t device_value(uint64_t offset)
{
    uint32_t value = 0;
    if (pread(device.fd, &value, sizeof value, lease_region_offset(device.fd, 2, NULL) + offset) != sizeof value)
        wrong("pread of the device: %s", name(errno));
    return value;
}

static void set_device_value(uint64_t offset, uint32_t value)
{
    if (pwrite(device.fd, &value, sizeof value, lease_region_offset(device.fd, 2, NULL) + offset) != sizeof value)
        wrong("pwrite of the device: %s", name(errno));
}

static uint16_t command(void)
{
    uint16_t value = 0;
    pread(device.fd, &value, sizeof value, lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL) + 4);
    return value;
}

static void set_command(uint16_t value)
{
    if (pwrite(device.fd, &value, sizeof value, lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL) + 4) != sizeof value)
        wrong("writing the command register: %s", name(errno));
}

static void a_mapping_reads_and_writes_the_device(void)
{
    int fd = buffer(0x5000, 2 * PAGE);
    uint8_t *at = map(fd, 2 * PAGE);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, poke(at + 0x1234, 0xcafe0001));
    EXPECT(0xcafe0001, device_value(0x6234));
    set_device_value(0x5010, 0xcafe0002);
    EXPECT(0xcafe0002, value_at(at + 0x10));
    munmap(at, 2 * PAGE);
    close(fd);
}

static void ranges_out_of_order_are_mapped_in_the_order_given(void)
{
    struct lease_range ranges[] = { { 0x9000, PAGE }, { 0x2000, 2 * PAGE }, { 0x9000, PAGE } };
    int fd = lease_export_ranges(device.fd, 2, O_RDWR, 3, ranges);
    uint8_t *at = map(fd, 4 * PAGE);
    for (uint32_t i = 0; i < 16; i++)
        set_device_value(i * PAGE, 0x1000 + i);
    EXPECT(0x1009, value_at(at));
    EXPECT(0x1002, value_at(at + PAGE));
    EXPECT(0x1003, value_at(at + 2 * PAGE));
    EXPECT(0x1009, value_at(at + 3 * PAGE));
    EXPECT(4 * PAGE, lseek(fd, 0, SEEK_END));
    uint8_t *third = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
    EXPECT(0x1003, value_at(third));
    munmap(third, PAGE);
    munmap(at, 4 * PAGE);
    close(fd);
}

static void mappings_that_must_not_be_are_refused(void)
{
    int fd = buffer(0, 2 * PAGE);
    int read_only = lease_export_range(device.fd, 2, O_RDONLY, 0, 2 * PAGE);
    EXPECT_ERROR(EINVAL, map_error(fd, PAGE, PROT_READ, MAP_PRIVATE, 0));
    EXPECT_ERROR(EINVAL, map_error(fd, 3 * PAGE, PROT_READ, MAP_SHARED, 0));
    EXPECT_ERROR(EINVAL, map_error(fd, PAGE, PROT_READ, MAP_SHARED, 2 * PAGE));
    EXPECT_ERROR(EACCES, map_error(read_only, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    uint8_t *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
    EXPECT(0, read_signal(at));
    EXPECT(-1, mprotect(at, PAGE, PROT_READ | PROT_WRITE));
    EXPECT(SIGSEGV, poke(at, 1));
    EXPECT_ERROR(0, lease_revoke(device.fd, read_only));
    EXPECT(SIGBUS, read_signal(at));
    munmap(at, PAGE);
    close(fd);
    close(read_only);
}

static void exports_that_must_not_be_are_refused(void)
{
    static const struct {
        int error;
        uint32_t region;
        uint64_t offset, length;
    } cases[] = {
        { EINVAL, 2, 0x800, PAGE }, { EINVAL, 2, 0, 0x800 },         { EINVAL, 2, 0, 0 },
        { EINVAL, 2, 1ULL << 40, PAGE }, { EINVAL, 2, 64 << 20, PAGE }, { EINVAL, 0, 0, PAGE },
        { ENODEV, VFIO_PCI_CONFIG_REGION_INDEX, 0, PAGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = lease_export_range(device.fd, cases[i].region, O_RDWR, cases[i].offset, cases[i].length);
        if (fd >= 0 || errno != cases[i].error)
            wrong("case %zu: %s, not %s", i, fd < 0 ? name(errno) : "accepted", name(cases[i].error));
    }
}

static void revoke_takes_mappings_away_for_good(void)
{
    int fd = buffer(0x10000, 2 * PAGE), same = buffer(0x11000, PAGE);
    uint8_t *at = map(fd, 2 * PAGE), *beside = map(same, PAGE), *second = map(fd, PAGE);
    EXPECT(0, poke(at, 0xb0b0));
    EXPECT(0, poke(at + PAGE, 0xb1b1));
    EXPECT(0, read_signal(second));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(SIGBUS, poke(at, 1));
    EXPECT(SIGBUS, poke(at + PAGE, 1));
    EXPECT(SIGBUS, read_signal(second));
    EXPECT_ERROR(ENODEV, map_error(fd, PAGE, PROT_READ, MAP_SHARED, 0));
    EXPECT_ERROR(EBADFD, lease_revoke(device.fd, fd));
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKED, lease_state(device.fd, fd));
    EXPECT(0xb0b0, device_value(0x10000));
    EXPECT(0xb1b1, value_at(beside));
    EXPECT(0, poke(beside, 0xb2b2));
    EXPECT(0xb2b2, device_value(0x11000));
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, same));
    // The kernel's own accesses on behalf of the process.
    EXPECT(-1, write(same, at, 4));
    EXPECT(-1, pwrite(device.fd, at, 4, lease_region_offset(device.fd, 2, NULL)));
    EXPECT(EFAULT, errno);
    munmap(at, 2 * PAGE);
    munmap(second, PAGE);
    munmap(beside, PAGE);
    close(fd);
    close(same);
}

static void revoke_answers_what_is_not_a_buffer_of_the_device(void)
{
    int foreign = lease_export_range(other.fd, 2, O_RDWR, 0, PAGE);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT_ERROR(ENODEV, lease_revoke(device.fd, foreign));
    EXPECT(-ENODEV, lease_state(device.fd, foreign));
    EXPECT_ERROR(EBADF, lease_revoke(device.fd, -1));
    EXPECT_ERROR(EINVAL, lease_revoke(device.fd, file));
    EXPECT_ERROR(0, lease_revoke(other.fd, foreign));
    EXPECT_ERROR(0, lease_feature(device.fd, VFIO_BAR_LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, NULL, 0, NULL));
    EXPECT_ERROR(EINVAL, lease_feature(device.fd, VFIO_BAR_LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_GET, &file, sizeof file, NULL));
    EXPECT_ERROR(ENOTTY, lease_feature(device.fd, 0xba00 | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET, NULL, 0, NULL));
    close(foreign);
    close(file);
}


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

static void a_mapping_with_a_hole_is_lost_around_it(void)
{
    int fd = buffer(0x30000, 4 * PAGE);
    uint8_t *at = map(fd, 4 * PAGE);
    for (int i = 0; i < 4; i++)
        EXPECT(0, poke(at + i * PAGE, (uint32_t)i));
    munmap(at + PAGE, PAGE);
    EXPECT(3, value_at(at + 3 * PAGE));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(SIGSEGV, read_signal(at + PAGE));
    EXPECT(SIGBUS, read_signal(at + 2 * PAGE));
    EXPECT(SIGBUS, read_signal(at + 3 * PAGE));
    munmap(at, 4 * PAGE);
    close(fd);
}

static void a_moved_mapping_is_lost_and_none_can_grow(void)
{
    int fd = buffer(0x40000, 4 * PAGE);
    uint8_t *at = map(fd, 2 * PAGE);
    EXPECT(0, poke(at + PAGE, 0x4444));
    uint8_t *target = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *moved = mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    EXPECT((long)target, (long)moved);
    EXPECT(0x4444, value_at(moved + PAGE));
    EXPECT((long)MAP_FAILED, (long)mremap(moved, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
    EXPECT((long)MAP_FAILED, (long)mremap(moved, 0, 2 * PAGE, MREMAP_MAYMOVE));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    EXPECT(SIGBUS, read_signal(moved));
    EXPECT(SIGBUS, read_signal(moved + PAGE));
    munmap(moved, 4 * PAGE);
    close(fd);
}

static void memory_enable_suspends_and_brings_back(void)
{
    int fd = buffer(0x50000, PAGE);
    uint8_t *at = map(fd, PAGE);
    uint16_t on = command() | 2;
    EXPECT(0, poke(at, 0x5555));
    set_command(on);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    set_command(on & ~2);
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(SIGBUS, poke(at, 1));
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    int late = buffer(0x51000, PAGE), gone = buffer(0x52000, PAGE);
    uint8_t *late_at = map(late, PAGE);
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, late));
    EXPECT(SIGBUS, read_signal(late_at));
    EXPECT_ERROR(0, lease_revoke(device.fd, gone));
    set_command(on);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0x5555, value_at(at));
    EXPECT(0, poke(late_at, 0x5151));
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKED, lease_state(device.fd, gone));
    munmap(at, PAGE);
    munmap(late_at, PAGE);
    close(fd);
    close(late);
    close(gone);
}

static void low_power_suspends_and_brings_back(void)
{
    int fd = buffer(0x50000, PAGE);
    uint8_t *at = map(fd, PAGE);
    EXPECT(0, poke(at, 0x6666));
    EXPECT_ERROR(0, lease_feature(device.fd, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | VFIO_DEVICE_FEATURE_SET, NULL, 0, NULL));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    EXPECT_ERROR(0, lease_feature(device.fd, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, NULL, 0, NULL));
    EXPECT(0x6666, value_at(at));
    munmap(at, PAGE);
    close(fd);
}

static volatile bool stop;

static void *read_on(void *at)
{
    long reads = 0;
    uint32_t value = 0;
    while (!stop && !peek(at, &value) && value == 0x7777)
        reads++;
    return stop ? (void *)reads : NULL;
}

static void a_reset_makes_accesses_wait_and_brings_back(void)
{
    int fd = buffer(0x60000, PAGE), gone = buffer(0x61000, PAGE);
    uint8_t *at = map(fd, PAGE), *gone_at = map(gone, PAGE);
    pthread_t thread;
    void *reads;
    EXPECT(0, poke(at, 0x7777));
    EXPECT_ERROR(0, lease_revoke(device.fd, gone));
    stop = false;
    pthread_create(&thread, NULL, read_on, at);
    EXPECT(0, ioctl(device.fd, VFIO_DEVICE_RESET));
    stop = true;
    pthread_join(thread, &reads);
    if (!reads)
        wrong("a reader during the reset was refused or read something else");
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0x7777, value_at(at));
    EXPECT(SIGBUS, read_signal(gone_at));
    munmap(at, PAGE);
    munmap(gone_at, PAGE);
    close(fd);
    close(gone);
}

static void cache_modes_are_taken_and_refused(void)
{
    int fd = buffer(0x70000, PAGE);
    EXPECT_ERROR(0, lease_memattr(device.fd, fd, VFIO_BAR_LEASE_MEMATTR_WC));
    uint8_t *at = map(fd, PAGE);
    EXPECT(0, poke(at, 0x8888));
    EXPECT(0x8888, value_at(at));
    EXPECT(0x8888, device_value(0x70000));
    EXPECT_ERROR(0, lease_memattr(device.fd, fd, VFIO_BAR_LEASE_MEMATTR_NC));
    EXPECT_ERROR(ENOENT, lease_memattr(device.fd, fd, 2));
    EXPECT_ERROR(ENODEV, lease_memattr(other.fd, fd, 0));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    EXPECT_ERROR(EBADFD, lease_memattr(device.fd, fd, 0));
    munmap(at, PAGE);
    close(fd);
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

// Maps a whole buffer at an address that is so much past a multiple of align, and counts the faults of touching each block of it.
static long faults_of(int fd, size_t size, size_t align, size_t past, size_t block)
{
    uint8_t *room = mmap(NULL, size + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *at = (uint8_t *)(((uintptr_t)room + align - 1) / align * align) + past;
    if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        fail("mmap", "at an aligned address");
    long before = faults();
    for (size_t i = 0; i < size; i += block)
        EXPECT(0, poke(at + i, 0x9999));
    long count = faults() - before;
    if (fork() == 0)
        _exit(read_signal(at) || read_signal(at + size / 2));
    int status;
    wait(&status);
    EXPECT(0, status);
    // A hole in the middle splits a huge page.
    munmap(at + size / 2, PAGE);
    EXPECT(0, read_signal(at + size / 2 + PAGE));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    size_t stride = size / 16 < PAGE ? PAGE : size / 16;
    for (size_t i = 0; i < size; i += stride)
        if (i != size / 2)
            EXPECT(SIGBUS, poke(at + i, 1));
    EXPECT(SIGBUS, read_signal(at + size / 2 + PAGE));
    munmap(room, size + 2 * align);
    return count;
}

static void large_buffers_get_huge_pages_where_aligned(void)
{
    enum { BIG = 64 << 20, HUGE = 2 << 20 };
    int whole = buffer(0, BIG), again = buffer(0, BIG), shifted = buffer(HUGE - 4 * PAGE, 8 * PAGE);
    long aligned = faults_of(whole, BIG, HUGE, 0, PAGE), unaligned = faults_of(again, 8 << 20, HUGE, PAGE, PAGE);
    printf("64 MiB: %ld faults aligned; 8 MiB: %ld unaligned\n", aligned, unaligned);
    if (aligned > BIG / HUGE + 8)
        wrong("%ld faults for 64 MiB at an aligned address", aligned);
    if (unaligned < (8 << 20) / PAGE)
        wrong("%ld faults for 8 MiB at an unaligned address", unaligned);
    long few = faults_of(shifted, 8 * PAGE, HUGE, HUGE - 4 * PAGE, PAGE);
    EXPECT(8, few);
    close(whole);
    close(again);
    close(shifted);
}

static void gigantic_buffers_can_be_split(void)
{
    enum { GIANT = 1 << 30, HUGE = 2 << 20 };
    struct lease_device kept = device;
    device = lease_open(big_address);
    uint64_t size;
    lease_region_offset(device.fd, 2, &size);
    int fd = buffer(0, size);
    // At an address where the kernel could use a page of 1 GiB, and would not survive the split.
    long count = faults_of(fd, size, GIANT, 0, HUGE);
    printf("%lu MiB: %ld faults\n", size >> 20, count);
    if (count > (long)(size / HUGE) + 8)
        wrong("%ld faults for %lu MiB", count, size >> 20);
    close(fd);
    close(device.fd);
    close(device.group);
    close(device.container);
    device = kept;
}

struct racer {
    uint8_t *at;
    volatile bool revoked;
    volatile long hits, misses;
};

static volatile bool racers_stop;

static void *race(void *argument)
{
    struct racer *racer = argument;
    while (!racers_stop) {
        bool revoked = racer->revoked;
        if (read_signal(racer->at + PAGE * (racer->hits & 3)) == 0) {
            racer->hits++;
            if (revoked)
                racer->misses++;
        }
    }
    return NULL;
}

static void no_access_after_revoke_has_returned(void)
{
    long hits = 0, misses = 0;
    for (int round = 0; round < 40; round++) {
        int fd = buffer(0x80000, 4 * PAGE);
        struct racer racer = { .at = map(fd, 4 * PAGE) };
        pthread_t threads[3];
        racers_stop = false;
        for (int i = 0; i < 3; i++)
            pthread_create(&threads[i], NULL, race, &racer);
        if (round & 1)
            while (!racer.hits)
                sched_yield();
        EXPECT_ERROR(0, lease_revoke(device.fd, fd));
        racer.revoked = true;
        usleep(1000);
        racers_stop = true;
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        hits += racer.hits;
        misses += racer.misses;
        munmap(racer.at, 4 * PAGE);
        close(fd);
    }
    printf("%ld accesses before, %ld after revoke had returned\n", hits, misses);
    EXPECT(0, misses);
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

static uint64_t config_offset(void) { return lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL); }

// The arguments of calls may lie in what the calls take away.
static void calls_with_arguments_in_a_buffer_end(void)
{
    int fd = buffer(0x94000, PAGE);
    uint8_t *at = map(fd, PAGE);
    struct {
        struct vfio_device_feature header;
        struct vfio_bar_lease_revoke revoke;
    } *call = (void *)(at + 0x100);
    uint16_t on = command() | 2;

    // The one that turns memory off cannot be read any more when it is wanted.
    EXPECT(0, poke(at, on));
    EXPECT(2, pwrite(device.fd, at, 2, config_offset() + 4));
    EXPECT(0, poke(at, on & ~2));
    if (pwrite(device.fd, at, 2, config_offset() + 4) == 2)
        EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    set_command(on);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(2, pread(device.fd, at, 2, config_offset()));
    call->header.argsz = sizeof *call;
    call->header.flags = VFIO_BAR_LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_SET;
    call->revoke.dmabuf_fd = fd;
    EXPECT(0, ioctl(device.fd, VFIO_DEVICE_FEATURE, call));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(-1, ioctl(device.fd, VFIO_DEVICE_FEATURE, call));
    EXPECT(EFAULT, errno);
    munmap(at, PAGE);
    close(fd);
}

// A writer that changes its mind between the driver's look and the core's copy.
static volatile uint16_t changing[2];
static void *change_mind(void *unused)
{
    (void)unused;
    while (!stop)
        changing[0] ^= 2;
    return NULL;
}

static void memory_that_went_off_behind_the_drivers_back_is_suspended(void)
{
    int fd = buffer(0x95000, PAGE);
    uint8_t *at = map(fd, PAGE);
    pthread_t thread;
    long off = 0;
    changing[0] = command() | 2;
    stop = false;
    pthread_create(&thread, NULL, change_mind, NULL);
    for (int i = 0; i < 20000; i++) {
        pwrite(device.fd, (void *)changing, 2, config_offset() + 4);
        bool on = command() & 2;
        off += !on;
        if (read_signal(at) != (on ? 0 : SIGBUS))
            wrong("memory is %s, and the mapping is not", on ? "on" : "off");
    }
    stop = true;
    pthread_join(thread, NULL);
    set_command(command() | 2);
    printf("off %ld times of 20000\n", off);
    EXPECT(0, read_signal(at));
    munmap(at, PAGE);
    close(fd);
}

static void closing_the_device_revokes_all(void)
{
    char link[64];
    int fd = buffer(0x90000, PAGE), second = buffer(0x91000, PAGE), held = buffer(0x92000, PAGE);
    uint8_t *at = map(fd, PAGE), *second_at = map(second, PAGE);
    EXPECT(0, poke(at, 0xaaaa));
    EXPECT(0, poke(second_at, 0xbbbb));
    close(second);
    snprintf(link, sizeof link, "/proc/self/fd/%d", held);
    int path = open(link, O_PATH | O_CLOEXEC);
    close(held);

    close(device.fd);
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(SIGBUS, read_signal(second_at));
    EXPECT_ERROR(ENODEV, map_error(fd, PAGE, PROT_READ, MAP_SHARED, 0));

    lease_reopen(&device);
    EXPECT(SIGBUS, read_signal(at));
    EXPECT_ERROR(ENODEV, lease_revoke(device.fd, fd));
    EXPECT(-ENODEV, lease_state(device.fd, fd));
    int fresh = buffer(0x90000, PAGE);
    uint8_t *fresh_at = map(fresh, PAGE);
    EXPECT(0xaaaa, value_at(fresh_at));
    EXPECT(SIGBUS, read_signal(at));
    munmap(at, PAGE);
    munmap(second_at, PAGE);
    munmap(fresh_at, PAGE);
    close(fd);
    close(fresh);
    close(path);
}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
#define CHECK(name) { #name, name }
    CHECK(a_mapping_reads_and_writes_the_device),
    CHECK(ranges_out_of_order_are_mapped_in_the_order_given),
    CHECK(mappings_that_must_not_be_are_refused),
    CHECK(exports_that_must_not_be_are_refused),
    CHECK(revoke_takes_mappings_away_for_good),
    CHECK(revoke_answers_what_is_not_a_buffer_of_the_device),
    CHECK(a_forked_child_loses_its_mapping),
    CHECK(a_process_that_the_fd_was_passed_to_loses_it),
    CHECK(an_fd_that_sits_in_a_socket_is_dead_when_it_comes_out),
    CHECK(a_path_descriptor_gives_no_access),
    CHECK(a_mapping_with_a_hole_is_lost_around_it),
    CHECK(a_moved_mapping_is_lost_and_none_can_grow),
    CHECK(memory_enable_suspends_and_brings_back),
    CHECK(low_power_suspends_and_brings_back),
    CHECK(a_reset_makes_accesses_wait_and_brings_back),
    CHECK(cache_modes_are_taken_and_refused),
    CHECK(large_buffers_get_huge_pages_where_aligned),
    CHECK(gigantic_buffers_can_be_split),
    CHECK(no_access_after_revoke_has_returned),
    CHECK(a_container_cannot_keep_a_mapping),
    CHECK(calls_with_arguments_in_a_buffer_end),
    CHECK(memory_that_went_off_behind_the_drivers_back_is_suspended),
    CHECK(closing_the_device_revokes_all),
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: leasecheck ADDRESS ADDRESS BIG-ADDRESS\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    touch_init();
    device = lease_open(argv[1]);
    other = lease_open(argv[2]);
    big_address = argv[3];
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        current = checks[i].name;
        failed = false;
        checks[i].run();
        if (!failed)
            printf("pass %s\n", current);
    }
    puts("end");
    return 0;
}
