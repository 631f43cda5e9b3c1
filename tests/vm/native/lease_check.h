// SPDX-License-Identifier: Apache-2.0
// How the lease*check programs say what they found: "pass NAME" or "fail NAME: what was wrong" for each thing tried.
#pragma once
#include "lease.h"

#include <stdarg.h>

static struct lease_device device;
static const char *current;
static bool failed;

__attribute__((format(printf, 1, 2))) static inline void wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("fail %s: ", current);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    failed = true;
}

static inline const char *name(int error) { return error < 0 ? strerrorname_np(-error) : error ? strerrorname_np(error) : "0"; }

#define EXPECT_ERROR(wanted, call)                                              \
    do {                                                                        \
        int got_ = (call);                                                      \
        if (got_ != (wanted))                                                   \
            wrong("%s gave %s, not %s", #call, name(got_), name(wanted));       \
    } while (0)
#define EXPECT(wanted, call)                                                    \
    do {                                                                        \
        long wanted_ = (wanted), got_ = (call);                                 \
        if (got_ != wanted_)                                                    \
            wrong("line %d: %s is %ld, not %ld", __LINE__, #call, got_, wanted_); \
    } while (0)

static inline int buffer(uint64_t offset, uint64_t length)
{
    int fd = lease_export_range(device.fd, 2, O_RDWR, offset, length);
    if (fd < 0)
        fail("VFIO_DEVICE_FEATURE_DMA_BUF", device.address);
    return fd;
}

static inline int map_error(int fd, size_t length, int protection, int flags, off_t offset)
{
    void *at = mmap(NULL, length, protection, flags, fd, offset);
    if (at == MAP_FAILED)
        return errno;
    munmap(at, length);
    return 0;
}

static inline uint8_t *map(int fd, size_t length)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail("mmap", "of a buffer");
    return at;
}

static inline uint32_t value_at(const volatile uint8_t *at)
{
    uint32_t value = 0;
    int signal = peek(at, &value);
    if (signal)
        wrong("reading got signal %d", signal);
    return value;
}

static inline int read_signal(const volatile uint8_t *at)
{
    uint32_t value;
    return peek(at, &value);
}

// The device's memory by way of the device's fd, which no buffer has a part in.
static inline uint32_t device_value(uint64_t offset)
{
    uint32_t value = 0;
    if (pread(device.fd, &value, sizeof value, lease_region_offset(device.fd, 2, NULL) + offset) != sizeof value)
        wrong("pread of the device: %s", name(errno));
    return value;
}

static inline void set_device_value(uint64_t offset, uint32_t value)
{
    if (pwrite(device.fd, &value, sizeof value, lease_region_offset(device.fd, 2, NULL) + offset) != sizeof value)
        wrong("pwrite of the device: %s", name(errno));
}

static inline uint16_t command(void)
{
    uint16_t value = 0;
    pread(device.fd, &value, sizeof value, lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL) + 4);
    return value;
}

static inline void set_command(uint16_t value)
{
    if (pwrite(device.fd, &value, sizeof value, lease_region_offset(device.fd, VFIO_PCI_CONFIG_REGION_INDEX, NULL) + 4) != sizeof value)
        wrong("writing the command register: %s", name(errno));
}

struct check {
    const char *name;
    void (*run)(void);
};
#define CHECK(name) { #name, name }

// Ends with 0 when it got through them all, whatever was found.
static inline int run_checks(const struct check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        current = checks[i].name;
        failed = false;
        checks[i].run();
        if (!failed)
            printf("pass %s\n", current);
    }
    puts("end");
    return 0;
}
