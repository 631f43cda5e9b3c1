// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease promises of buffers of a device that is reset, in low power, has failed, or has its memory off.
//
//     leasesuspend ADDRESS NVME-ADDRESS PAIR-ADDRESS PAIR-ADDRESS
//     leasesuspend watch ADDRESS      until its standard input ends: says how accesses go whenever that changes
//
// All but the NVMe controller are ivshmem, whose BAR 2 is plain memory. The pair is one IOMMU group and one bus.
#define _GNU_SOURCE
#include "lease_check.h"

#include <poll.h>
#include <pthread.h>

static uint64_t config_offset(void) { return lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL); }

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

// Reads on from the start of a mapping while something happens to the device. A read may wait, and is not to fail.
struct reader {
    uint8_t *at;
    pthread_t thread;
    long reads;
    int signal;
    bool changed;
};

static volatile bool stop;

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    uint32_t first = 0, value = 0;
    reader->signal = peek(reader->at, &first);
    while (!stop && !reader->signal) {
        reader->signal = peek(reader->at, &value);
        reader->changed |= !reader->signal && value != first;
        reader->reads++;
    }
    return NULL;
}

static void start_reader(struct reader *reader, uint8_t *at)
{
    *reader = (struct reader){ .at = at };
    stop = false;
    pthread_create(&reader->thread, NULL, read_on, reader);
}

static void end_reader(struct reader *reader)
{
    stop = true;
    pthread_join(reader->thread, NULL);
    if (reader->signal)
        wrong("a reader got signal %d", reader->signal);
    if (reader->changed)
        wrong("a reader read something else");
    if (!reader->reads)
        wrong("a reader did not get to read");
}

static int reset_device(void) { return ioctl(device.fd, VFIO_DEVICE_RESET) ? errno : 0; }

static int reset_by_sysfs(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/reset", device.address);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int error = write(fd, "1", 1) == 1 ? 0 : errno;
    close(fd);
    return error;
}

// Where a capability is in config space.
static uint16_t capability(uint8_t id)
{
    uint8_t at = 0x34, entry[2] = { 0 };
    pread(device.fd, &at, 1, config_offset() + at);
    while (at) {
        pread(device.fd, entry, 2, config_offset() + at);
        if (entry[0] == id)
            return at;
        at = entry[1];
    }
    wrong("no capability 0x%x", id);
    return 0;
}

static int write_config16(uint16_t at, uint16_t value)
{
    return pwrite(device.fd, &value, sizeof value, config_offset() + at) == sizeof value ? 0 : errno;
}

static uint16_t read_config16(uint16_t at)
{
    uint16_t value = 0;
    pread(device.fd, &value, sizeof value, config_offset() + at);
    return value;
}

static int reset_by_flr(void)
{
    uint16_t control = capability(0x10) + 8;
    return write_config16(control, read_config16(control) | 1 << 15);
}

// A reset with readers, a buffer that is revoked and one that is revoked meanwhile.
static void survive(int (*reset)(void))
{
    int fd = buffer(0x60000, PAGE), gone = buffer(0x61000, PAGE);
    uint8_t *at = map(fd, PAGE), *gone_at = map(gone, PAGE);
    struct reader reader;
    EXPECT(0, poke(at, 0x7777));
    EXPECT(0, poke(gone_at, 0x7777));
    EXPECT_ERROR(0, lease_revoke(device.fd, gone));
    start_reader(&reader, at);
    EXPECT_ERROR(0, reset());
    end_reader(&reader);
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, read_signal(at));
    EXPECT(SIGBUS, read_signal(gone_at));
    EXPECT(VFIO_BAR_LEASE_STATE_REVOKED, lease_state(device.fd, gone));
    EXPECT_ERROR(0, lease_revoke(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    munmap(at, PAGE);
    munmap(gone_at, PAGE);
    close(fd);
    close(gone);
}

static void accesses_wait_for_a_reset_by_vfio(void) { survive(reset_device); }

static void accesses_wait_for_a_reset_by_sysfs(void) { survive(reset_by_sysfs); }

static void a_reset_does_not_turn_memory_on(void)
{
    int fd = buffer(0x62000, PAGE);
    uint8_t *at = map(fd, PAGE);
    uint16_t on = command() | 2;
    set_command(on & ~2);
    EXPECT_ERROR(0, reset_device());
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    set_command(on);
    EXPECT(0, read_signal(at));
    munmap(at, PAGE);
    close(fd);
}

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
static volatile uint16_t changing;
static void *change_mind(void *unused)
{
    (void)unused;
    while (!stop)
        changing ^= 2;
    return NULL;
}

static void memory_that_went_off_behind_the_drivers_back_is_suspended(void)
{
    int fd = buffer(0x95000, PAGE);
    uint8_t *at = map(fd, PAGE);
    pthread_t thread;
    long off = 0;
    changing = command() | 2;
    stop = false;
    pthread_create(&thread, NULL, change_mind, NULL);
    for (int i = 0; i < 20000; i++) {
        pwrite(device.fd, (void *)&changing, 2, config_offset() + 4);
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

// The one with the capabilities.
static const char *nvme_address;

static void with_nvme(void (*run)(void))
{
    struct lease_device kept = device;
    device = lease_open(nvme_address);
    run();
    close(device.fd);
    close(device.group);
    close(device.container);
    device = kept;
}

static void suspend_by_power_state(void)
{
    int fd = buffer(0x1000, PAGE);
    uint8_t *at = map(fd, PAGE);
    uint16_t control = capability(1) + 4;
    EXPECT(0, read_signal(at));
    EXPECT_ERROR(0, write_config16(control, 3));
    EXPECT(3, read_config16(control) & 3);
    EXPECT(VFIO_BAR_LEASE_STATE_SUSPENDED, lease_state(device.fd, fd));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT_ERROR(0, write_config16(control, 0));
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, read_signal(at));
    // The core leaves D3 for a reset.
    EXPECT_ERROR(0, write_config16(control, 3));
    EXPECT(SIGBUS, read_signal(at));
    EXPECT_ERROR(0, reset_device());
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(device.fd, fd));
    EXPECT(0, read_signal(at));
    munmap(at, PAGE);
    close(fd);
}

static void survive_flr(void) { survive(reset_by_flr); }

static void d3_suspends_and_brings_back(void) { with_nvme(suspend_by_power_state); }

static void accesses_wait_for_an_flr_by_config_space(void) { with_nvme(survive_flr); }

static const char *pair_addresses[2];

static void accesses_wait_for_a_hot_reset_of_two_devices(void)
{
    struct {
        struct vfio_pci_hot_reset header;
        int32_t group;
    } reset = { .header = { .argsz = sizeof reset, .count = 1 } };
    struct lease_device kept = device, pair = lease_open(pair_addresses[0]);
    int second = ioctl(pair.group, VFIO_GROUP_GET_DEVICE_FD, pair_addresses[1]);
    struct reader readers[2];

    device = pair;
    int fd = buffer(0, PAGE), second_fd = lease_export_range(second, 2, O_RDWR, 0, PAGE);
    uint8_t *at = map(fd, PAGE), *second_at = map(second_fd, PAGE);
    EXPECT(0, poke(at, 0x1111));
    EXPECT(0, poke(second_at, 0x2222));
    start_reader(&readers[0], at);
    start_reader(&readers[1], second_at);
    reset.group = pair.group;
    EXPECT_ERROR(0, ioctl(device.fd, VFIO_DEVICE_PCI_HOT_RESET, &reset) ? errno : 0);
    end_reader(&readers[0]);
    end_reader(&readers[1]);
    EXPECT(0x1111, value_at(at));
    EXPECT(0x2222, value_at(second_at));
    EXPECT(VFIO_BAR_LEASE_STATE_LIVE, lease_state(second, second_fd));
    close(device.fd);
    EXPECT(SIGBUS, read_signal(at));
    EXPECT(0x2222, value_at(second_at));
    munmap(at, PAGE);
    munmap(second_at, PAGE);
    close(fd);
    close(second_fd);
    close(second);
    close(pair.group);
    close(pair.container);
    device = kept;
}

static const struct check checks[] = {
    CHECK(memory_enable_suspends_and_brings_back),
    CHECK(low_power_suspends_and_brings_back),
    CHECK(a_reset_does_not_turn_memory_on),
    CHECK(calls_with_arguments_in_a_buffer_end),
    CHECK(memory_that_went_off_behind_the_drivers_back_is_suspended),
    CHECK(accesses_wait_for_a_hot_reset_of_two_devices),
    CHECK(accesses_wait_for_a_reset_by_vfio),
    CHECK(accesses_wait_for_a_reset_by_sysfs),
    CHECK(d3_suspends_and_brings_back),
    CHECK(accesses_wait_for_an_flr_by_config_space),
};

static int watch(const char *address)
{
    device = lease_open(address);
    uint8_t *at = map(buffer(0, PAGE), PAGE);
    struct pollfd end = { .fd = 0, .events = POLLIN };
    int before = -1;
    poke(at, 0x5a5a);
    while (!poll(&end, 1, 0)) {
        int now = read_signal(at);
        if (now != before)
            puts(now ? "refused" : value_at(at) == 0x5a5a ? "reads" : "reads something else");
        before = now;
    }
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    touch_init();
    if (argc == 3 && !strcmp(argv[1], "watch"))
        return watch(argv[2]);
    if (argc != 5) {
        fputs("usage: leasesuspend ADDRESS NVME-ADDRESS PAIR-ADDRESS PAIR-ADDRESS | leasesuspend watch ADDRESS\n", stderr);
        return EXIT_USAGE;
    }
    device = lease_open(argv[1]);
    nvme_address = argv[2];
    pair_addresses[0] = argv[3];
    pair_addresses[1] = argv[4];
    return run_checks(checks, sizeof checks / sizeof *checks);
}
