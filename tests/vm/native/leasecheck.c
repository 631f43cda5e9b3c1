// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease promises of exports, mappings and revokes, tried from one program that owns three devices.
//
//     leasecheck ADDRESS ADDRESS BIG-ADDRESS
//
// All are ivshmem, whose BAR 2 is plain memory.
#define _GNU_SOURCE
#include "lease_check.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static struct lease_device other;
static const char *big_address;

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
    // Neither may take huge pages of a device for RAM: 7.2 did, and crashed.
    madvise(at, size, MADV_COLD);
    madvise(at, size, MADV_PAGEOUT);
    // Soft-dirty bits are cleared, which protects what is mapped from writes until the next.
    int refs = open_or_fail("/proc/self/clear_refs");
    if (write(refs, "4", 1) != 1)
        fail("write", "/proc/self/clear_refs");
    close(refs);
    EXPECT(0, poke(at, 0x9999));
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

// Before 7.3 the driver gives none: see kernel/README.md.
static bool kernel_takes_huge_pages(void)
{
    struct utsname name;
    int major, minor;
    uname(&name);
    return sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major > 7 || (major == 7 && minor >= 3));
}

static void large_buffers_get_huge_pages_where_aligned(void)
{
    enum { BIG = 64 << 20, HUGE = 2 << 20 };
    int whole = buffer(0, BIG), again = buffer(0, BIG), shifted = buffer(HUGE - 4 * PAGE, 8 * PAGE);
    long aligned = faults_of(whole, BIG, HUGE, 0, PAGE), unaligned = faults_of(again, 8 << 20, HUGE, PAGE, PAGE);
    printf("64 MiB: %ld faults aligned; 8 MiB: %ld unaligned\n", aligned, unaligned);
    if (kernel_takes_huge_pages() && aligned > BIG / HUGE + 8)
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

static const struct check checks[] = {
    CHECK(a_mapping_reads_and_writes_the_device),
    CHECK(ranges_out_of_order_are_mapped_in_the_order_given),
    CHECK(mappings_that_must_not_be_are_refused),
    CHECK(exports_that_must_not_be_are_refused),
    CHECK(revoke_takes_mappings_away_for_good),
    CHECK(revoke_answers_what_is_not_a_buffer_of_the_device),
    CHECK(a_mapping_with_a_hole_is_lost_around_it),
    CHECK(a_moved_mapping_is_lost_and_none_can_grow),
    CHECK(cache_modes_are_taken_and_refused),
    CHECK(large_buffers_get_huge_pages_where_aligned),
    CHECK(gigantic_buffers_can_be_split),
    CHECK(no_access_after_revoke_has_returned),
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
    return run_checks(checks, sizeof checks / sizeof *checks);
}
