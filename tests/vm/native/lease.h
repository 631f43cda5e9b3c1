// SPDX-License-Identifier: Apache-2.0
// A device that vfio-bar-lease drives, its buffers, and memory that may go away, for the programs beside this file.
#pragma once
#include "lease_calls.h"
#include "vfio.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 0x1000 };

struct lease_device {
    int container, group, fd;
    const char *address;
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
