// SPDX-License-Identifier: Apache-2.0
// Holds a device until the kernel asks for it back.
//
//     vfiohold ADDRESS SECONDS
//
// Says "held" when it has the device, "error" when the kernel reports an uncorrectable error of it, and "asked" when the kernel wants it back;
// then it waits one second and lets go. Ends with 0 then; with 4 when nobody asked in time; otherwise as vfiocheck does.
#define _GNU_SOURCE
#include "vfio.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

enum { EXIT_NOT_ASKED = 4 };

// An eventfd that the kernel signals for one of the device's own events.
static struct pollfd watch(int device, __u32 index)
{
    int event = eventfd(0, EFD_CLOEXEC);
    if (event < 0)
        fail("eventfd", "");
    char buffer[sizeof(struct vfio_irq_set) + sizeof event];
    struct vfio_irq_set *set = (struct vfio_irq_set *)buffer;
    *set = (struct vfio_irq_set){
        .argsz = sizeof buffer,
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        .index = index,
        .count = 1,
    };
    memcpy(set->data, &event, sizeof event);
    if (ioctl(device, VFIO_DEVICE_SET_IRQS, set))
        fail("VFIO_DEVICE_SET_IRQS", index == VFIO_PCI_ERR_IRQ_INDEX ? "VFIO_PCI_ERR_IRQ_INDEX" : "VFIO_PCI_REQ_IRQ_INDEX");
    return (struct pollfd){ .fd = event, .events = POLLIN };
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: vfiohold ADDRESS SECONDS\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int device = open_device(argv[1]);
    struct pollfd events[] = { watch(device, VFIO_PCI_REQ_IRQ_INDEX), watch(device, VFIO_PCI_ERR_IRQ_INDEX) };
    puts("held");
    time_t end = time(NULL) + atoi(argv[2]);
    while (!events[0].revents) {
        time_t left = end - time(NULL);
        if (left < 0 || poll(events, 2, (int)left * 1000) == 0)
            return EXIT_NOT_ASKED;
        eventfd_t count;
        if (events[1].revents && eventfd_read(events[1].fd, &count) == 0)
            puts("error");
    }
    puts("asked");
    sleep(1);
    return 0;
}
