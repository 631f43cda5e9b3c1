// SPDX-License-Identifier: Apache-2.0
// Holds a device until the kernel asks for it back.
//
//     vfiohold ADDRESS SECONDS
//
// Says "held" when it has the device and "asked" when the kernel wants it, waits one second, and lets go of it. Ends with 0 then; with 4 when
// nobody asked in time; otherwise as vfiocheck does.
#define _GNU_SOURCE
#include "vfio.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { EXIT_NOT_ASKED = 4 };

static int request_event(int device)
{
    int event = eventfd(0, EFD_CLOEXEC);
    if (event < 0)
        fail("eventfd", "");
    char buffer[sizeof(struct vfio_irq_set) + sizeof event];
    struct vfio_irq_set *set = (struct vfio_irq_set *)buffer;
    *set = (struct vfio_irq_set){
        .argsz = sizeof buffer,
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        .index = VFIO_PCI_REQ_IRQ_INDEX,
        .count = 1,
    };
    memcpy(set->data, &event, sizeof event);
    if (ioctl(device, VFIO_DEVICE_SET_IRQS, set))
        fail("VFIO_DEVICE_SET_IRQS", "VFIO_PCI_REQ_IRQ_INDEX");
    return event;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: vfiohold ADDRESS SECONDS\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int device = open_device(argv[1]);
    struct pollfd event = { .fd = request_event(device), .events = POLLIN };
    puts("held");
    if (poll(&event, 1, atoi(argv[2]) * 1000) <= 0)
        return EXIT_NOT_ASKED;
    puts("asked");
    sleep(1);
    return 0;
}
