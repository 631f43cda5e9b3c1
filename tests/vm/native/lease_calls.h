// SPDX-License-Identifier: Apache-2.0
// The calls about buffers: export, which vfio-pci has too, and those of vfio-bar-lease, for the programs beside this file.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../../kernel/vfio_bar_lease.h"

// Newer than the headers of Debian 12.
struct lease_range {
    uint64_t offset, length;
};

#define LEASE_RANGES_MAX 64
struct lease_export {
    uint32_t argsz, flags, region_index, open_flags, buffer_flags, nr_ranges;
    struct lease_range ranges[LEASE_RANGES_MAX];
};

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

static inline const char *lease_state_name(int state)
{
    static const char *const names[] = {
        [VFIO_BAR_LEASE_STATE_LIVE] = "live",
        [VFIO_BAR_LEASE_STATE_SUSPENDED] = "suspended",
        [VFIO_BAR_LEASE_STATE_REVOKED] = "revoked",
        [VFIO_BAR_LEASE_STATE_REVOKING] = "revoking",
    };
    return state >= 0 && state < (int)(sizeof names / sizeof *names) ? names[state] : "unknown";
}
