// SPDX-License-Identifier: Apache-2.0
// Opening a device the legacy way, by its group and a type1 container, for the programs beside this file.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_VIABLE = 3 };

static void fail(const char *call, const char *what)
{
    fprintf(stderr, "%s: %s %s: %s (%s)\n", program_invocation_short_name, call, what, strerror(errno), strerrorname_np(errno));
    exit(EXIT_FAILED);
}

static int open_or_fail(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail("open", path);
    return fd;
}

static void group_path(const char *address, char *path, size_t size)
{
    char link[PATH_MAX], target[PATH_MAX];
    snprintf(link, sizeof link, "/sys/bus/pci/devices/%s/iommu_group", address);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        fail("readlink", link);
    target[length] = 0;
    snprintf(path, size, "/dev/vfio/%s", strrchr(target, '/') + 1);
}

// Prints what it learns on the way. Container and group stay open until the process ends: the device is only whole with them.
static inline int open_device(const char *address)
{
    char path[PATH_MAX];
    group_path(address, path, sizeof path);
    int container = open_or_fail("/dev/vfio/vfio");
    int group = open_or_fail(path);

    struct vfio_group_status status = { .argsz = sizeof status };
    if (ioctl(group, VFIO_GROUP_GET_STATUS, &status))
        fail("VFIO_GROUP_GET_STATUS", path);
    int viable = !!(status.flags & VFIO_GROUP_FLAGS_VIABLE);
    int set = ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
    printf("group %s\nviable %d\nset_container %s\n", path, viable, set ? strerrorname_np(errno) : "0");
    if (!viable)
        exit(EXIT_NOT_VIABLE);
    if (set)
        fail("VFIO_GROUP_SET_CONTAINER", path);
    if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
        fail("VFIO_SET_IOMMU", path);
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
    if (device < 0)
        fail("VFIO_GROUP_GET_DEVICE_FD", address);
    return device;
}
