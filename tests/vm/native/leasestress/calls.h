// SPDX-License-Identifier: Apache-2.0
// The calls of vfio-bar-lease, as kernel/README.md has them. Written down a second time, beside ../lease.h, on purpose: a program that includes
// the driver's own header would not see that a number has changed.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define LEASE_FEATURE_DMA_BUF 11
#define LEASE_FEATURE_REVOKE 0xBA01
#define LEASE_FEATURE_MEMATTR 0xBA02
#define LEASE_FEATURE_STATE 0xBA03

enum lease_state { LEASE_LIVE, LEASE_SUSPENDED, LEASE_REVOKED, LEASE_REVOKING };
enum lease_memattr { LEASE_NON_CACHED, LEASE_WRITE_COMBINING };
enum { LEASE_MAX_RANGES = 8 };

struct lease_range {
    __u64 offset;
    __u64 length;
};

// What follows the head of VFIO_DEVICE_FEATURE. The third word is 32 bits in each of them.
struct lease_call {
    __u32 argsz;
    __u32 flags;
    __s32 dmabuf_fd;
    __u32 value;
};

struct lease_export {
    __u32 argsz;
    __u32 flags;
    __u32 region_index;
    __u32 open_flags;
    __u32 buffer_flags;
    __u32 nr_ranges;
    struct lease_range ranges[LEASE_MAX_RANGES];
};

static inline int lease_export(int device, __u32 region, __u32 count, const struct lease_range *ranges)
{
    struct lease_export call = {
        .argsz = sizeof call,
        .flags = LEASE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET,
        .region_index = region,
        .open_flags = O_RDWR | O_CLOEXEC,
        .nr_ranges = count,
    };
    memcpy(call.ranges, ranges, count * sizeof *ranges);
    return ioctl(device, VFIO_DEVICE_FEATURE, &call);
}

static inline int lease_revoke(int device, int fd)
{
    // Exactly the payload's size: {s32}.
    struct lease_call call = { .argsz = sizeof call - sizeof call.value, .flags = LEASE_FEATURE_REVOKE | VFIO_DEVICE_FEATURE_SET, .dmabuf_fd = fd };
    return ioctl(device, VFIO_DEVICE_FEATURE, &call);
}

static inline int lease_memattr(int device, int fd, __u32 memattr)
{
    struct lease_call call = { .argsz = sizeof call, .flags = LEASE_FEATURE_MEMATTR | VFIO_DEVICE_FEATURE_SET, .dmabuf_fd = fd, .value = memattr };
    return ioctl(device, VFIO_DEVICE_FEATURE, &call);
}

// The state, or -1 and errno.
static inline int lease_state(int device, int fd)
{
    struct lease_call call = { .argsz = sizeof call, .flags = LEASE_FEATURE_STATE | VFIO_DEVICE_FEATURE_GET, .dmabuf_fd = fd, .value = ~0U };
    return ioctl(device, VFIO_DEVICE_FEATURE, &call) < 0 ? -1 : (int)call.value;
}
