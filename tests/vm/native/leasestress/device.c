// SPDX-License-Identifier: Apache-2.0
// What the owner of a device does with it, apart from buffers.
#define _GNU_SOURCE
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Newer than the headers of Debian 12.
#define FEATURE_LOW_POWER_ENTRY 3
#define FEATURE_LOW_POWER_EXIT 5

#define DRIVER "/sys/bus/pci/drivers/vfio-bar-lease"

static int open_or_break(const char *path, int flags)
{
    int fd;
    // A group is busy for a moment after its last user went.
    for (int tries = 0; (fd = open(path, flags | O_CLOEXEC)) < 0; tries++) {
        if ((errno != EBUSY && errno != ENOENT) || tries == 100)
            broken("open %s: %s", path, strerror(errno));
        usleep(20000);
    }
    return fd;
}

static void write_sysfs(const char *path, const char *text, bool may_fail)
{
    int fd = open_or_break(path, O_WRONLY);
    if (write(fd, text, strlen(text)) < 0 && !may_fail)
        broken("write %s to %s: %s", text, path, strerror(errno));
    close(fd);
}

static void find_group(struct vfio *vfio, const struct device *device)
{
    char link[PATH_MAX], target[PATH_MAX];
    snprintf(link, sizeof link, "/sys/bus/pci/devices/%s/iommu_group", device->address);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        broken("readlink %s: %s", link, strerror(errno));
    target[length] = 0;
    snprintf(vfio->group_path, sizeof vfio->group_path, "/dev/vfio/%s", strrchr(target, '/') + 1);
}

void vfio_open(struct vfio *vfio, const struct device *device)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver", device->address);
    // An owner that was killed in between may have left it unbound.
    if (access(path, F_OK))
        write_sysfs(DRIVER "/bind", device->address, false);
    find_group(vfio, device);
    vfio->container = open_or_break("/dev/vfio/vfio", O_RDWR);
    vfio->group = open_or_break(vfio->group_path, O_RDWR);
    if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container))
        broken("VFIO_GROUP_SET_CONTAINER of %s: %s", vfio->group_path, strerror(errno));
    if (ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
        broken("VFIO_SET_IOMMU of %s: %s", vfio->group_path, strerror(errno));
    vfio_open_device(vfio, device);
}

void vfio_open_device(struct vfio *vfio, const struct device *device)
{
    vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, device->address);
    if (vfio->device < 0)
        broken("VFIO_GROUP_GET_DEVICE_FD of %s: %s", device->address, strerror(errno));
    struct vfio_region_info region = { .argsz = sizeof region, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    if (ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &region))
        broken("VFIO_DEVICE_GET_REGION_INFO: %s", strerror(errno));
    vfio->config = region.offset;
    region = (struct vfio_region_info){ .argsz = sizeof region, .index = VFIO_PCI_BAR2_REGION_INDEX };
    if (ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, &region))
        broken("VFIO_DEVICE_GET_REGION_INFO: %s", strerror(errno));
    vfio->bar_size = region.size;
    vfio_memory(vfio, true);
}

void vfio_close_all(struct vfio *vfio)
{
    close(vfio->device);
    close(vfio->group);
    close(vfio->container);
}

void vfio_memory(const struct vfio *vfio, bool on)
{
    uint16_t command;
    off_t at = (off_t)vfio->config + PCI_COMMAND;
    if (pread(vfio->device, &command, sizeof command, at) != sizeof command)
        broken("read of the command register: %s", strerror(errno));
    command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
    if (pwrite(vfio->device, &command, sizeof command, at) != sizeof command)
        broken("write of the command register: %s", strerror(errno));
}

int vfio_reset(const struct vfio *vfio)
{
    int result = ioctl(vfio->device, VFIO_DEVICE_RESET);
    // EAGAIN: somebody else has the device's lock, for example another reset.
    if (result && errno != EAGAIN)
        broken("VFIO_DEVICE_RESET: %s", strerror(errno));
    return result;
}

int vfio_hot_reset(const struct vfio *vfio)
{
    char space[sizeof(struct vfio_pci_hot_reset) + sizeof(__s32)] = { 0 };
    struct vfio_pci_hot_reset *call = (struct vfio_pci_hot_reset *)space;
    *call = (struct vfio_pci_hot_reset){ .argsz = sizeof space, .count = 1 };
    call->group_fds[0] = vfio->group;
    int result = ioctl(vfio->device, VFIO_DEVICE_PCI_HOT_RESET, call);
    // EBUSY: somebody has the core's memory lock.
    if (result && errno != EAGAIN && errno != EBUSY)
        broken("VFIO_DEVICE_PCI_HOT_RESET: %s", strerror(errno));
    return result;
}

int vfio_low_power(const struct vfio *vfio, bool on)
{
    struct vfio_device_feature call = { .argsz = sizeof call, .flags = (on ? FEATURE_LOW_POWER_ENTRY : FEATURE_LOW_POWER_EXIT) | VFIO_DEVICE_FEATURE_SET };
    return ioctl(vfio->device, VFIO_DEVICE_FEATURE, &call);
}

void vfio_rebind(const struct device *device)
{
    write_sysfs(DRIVER "/unbind", device->address, false);
    write_sysfs(DRIVER "/bind", device->address, false);
}
