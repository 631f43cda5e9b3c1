// SPDX-License-Identifier: Apache-2.0
// A device that vfio-bar-lease drives, its buffers, and memory that may go away, for the programs beside this file.
#pragma once
#include "vfio.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "../../../kernel/vfio_bar_lease.h"

enum { PAGE = 0x1000 };

struct lease_device {
    int container, group, fd;
    const char *address;
};

// Newer than the headers of Debian 12.
struct lease_range {
    uint64_t offset, length;
};

#define LEASE_RANGES_MAX 16
struct lease_export {
    uint32_t argsz, flags, region_index, open_flags, buffer_flags, nr_ranges;
    struct lease_range ranges[LEASE_RANGES_MAX];
};

static inline void lease_reopen(struct lease_device *device)
{
    device->fd = ioctl(device->group, VFIO_GROUP_GET_DEVICE_FD, device->address);
    if (device->fd < 0)
        fail("VFIO_GROUP_GET_DEVICE_FD", device->address);
}

static inline struct lease_device lease_open(const char *address)
{
    struct lease_device device = { .address = address };
    char path[PATH_MAX];
    group_path(address, path, sizeof path);
    device.container = open_or_fail("/dev/vfio/vfio");
    device.group = open_or_fail(path);
    if (ioctl(device.group, VFIO_GROUP_SET_CONTAINER, &device.container))
        fail("VFIO_GROUP_SET_CONTAINER", path);
    if (ioctl(device.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
        fail("VFIO_SET_IOMMU", path);
    lease_reopen(&device);
    return device;
}

// 0 or an error of the kernel's.
static inline int lease_feature(int device, uint32_t feature, const void *data, size_t size, void *answer)
{
    struct {
        struct vfio_device_feature header;
        uint64_t data[4];
    } call = { .header = { .argsz = sizeof call.header + size, .flags = feature } };
    if (size)
        memcpy(call.header.data, data, size);
    if (ioctl(device, VFIO_DEVICE_FEATURE, &call))
        return errno;
    if (answer)
        memcpy(answer, call.header.data, size);
    return 0;
}

static inline int lease_export_ranges(int device, uint32_t region, int open_flags, uint32_t count, const struct lease_range *ranges)
{
    struct lease_export what = {
        .argsz = sizeof what,
        .flags = 11 | VFIO_DEVICE_FEATURE_GET,
        .region_index = region,
        .open_flags = (uint32_t)open_flags | O_CLOEXEC,
        .nr_ranges = count,
    };
    memcpy(what.ranges, ranges, count * sizeof *ranges);
    return ioctl(device, VFIO_DEVICE_FEATURE, &what);
}

static inline int lease_export_range(int device, uint32_t region, int open_flags, uint64_t offset, uint64_t length)
{
    return lease_export_ranges(device, region, open_flags, 1, &(struct lease_range){ offset, length });
}

static inline int lease_revoke(int device, int dmabuf)
{
    struct vfio_bar_lease_revoke what = { .dmabuf_fd = dmabuf };
    return lease_feature(device, VFIO_BAR_LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_SET, &what, sizeof what, NULL);
}

static inline int lease_memattr(int device, int dmabuf, uint32_t memattr)
{
    struct vfio_bar_lease_memattr what = { .dmabuf_fd = dmabuf, .memattr = memattr };
    return lease_feature(device, VFIO_BAR_LEASE_FEATURE_MEMATTR | VFIO_DEVICE_FEATURE_SET, &what, sizeof what, NULL);
}

// One of VFIO_BAR_LEASE_STATE_*, or an error as a negative number.
static inline int lease_state(int device, int dmabuf)
{
    struct vfio_bar_lease_state what = { .dmabuf_fd = dmabuf, .state = ~0U };
    int error = lease_feature(device, VFIO_BAR_LEASE_FEATURE_STATE | VFIO_DEVICE_FEATURE_GET, &what, sizeof what, &what);
    return error ? -error : (int)what.state;
}

static inline uint64_t lease_region_offset(int device, uint32_t index, uint64_t *size)
{
    struct vfio_region_info region = { .argsz = sizeof region, .index = index };
    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
        fail("VFIO_DEVICE_GET_REGION_INFO", "");
    if (size)
        *size = region.size;
    return region.offset;
}

// Accesses that may be refused: each gives 0, or the signal that it got.

static __thread sigjmp_buf touch_return;
static __thread volatile sig_atomic_t touching;

static void touch_handler(int signal)
{
    if (!touching)
        abort();
    siglongjmp(touch_return, signal);
}

static inline void touch_init(void)
{
    struct sigaction action = { .sa_handler = touch_handler, .sa_flags = SA_NODEFER };
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static inline int peek(const volatile void *at, uint32_t *value)
{
    int signal = sigsetjmp(touch_return, 0);
    if (!signal) {
        touching = 1;
        *value = *(const volatile uint32_t *)at;
    }
    touching = 0;
    return signal;
}

static inline int poke(volatile void *at, uint32_t value)
{
    int signal = sigsetjmp(touch_return, 0);
    if (!signal) {
        touching = 1;
        *(volatile uint32_t *)at = value;
    }
    touching = 0;
    return signal;
}
