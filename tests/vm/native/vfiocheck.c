// SPDX-License-Identifier: Apache-2.0
// What this kernel's VFIO does with a device, found out without any code of the broker, for tests to compare with.
//
//     vfiocheck ADDRESS [REGION]
//
// Opens the device by its group and a type1 container, says what it is, and exports two pages of the region (2 unless told) out of order as one
// dmabuf. Prints "key value" lines. Ends with 0, or with 1 and the failed call on standard error; with 3 when the group is not viable.
#define _GNU_SOURCE
#include "lease_calls.h"
#include "vfio.h"

#include <linux/types.h>
#include <sys/mman.h>

static void print_device(int device)
{
    struct vfio_device_info info = { .argsz = sizeof info };
    if (ioctl(device, VFIO_DEVICE_GET_INFO, &info))
        fail("VFIO_DEVICE_GET_INFO", "");
    printf("reset %d\n", !!(info.flags & VFIO_DEVICE_FLAGS_RESET));
    for (__u32 i = VFIO_PCI_BAR0_REGION_INDEX; i <= VFIO_PCI_BAR5_REGION_INDEX; i++) {
        struct vfio_region_info region = { .argsz = sizeof region, .index = i };
        if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
            fail("VFIO_DEVICE_GET_REGION_INFO", "");
        printf("region %u size 0x%llx%s%s%s\n", i, region.size, region.flags & VFIO_REGION_INFO_FLAG_READ ? " read" : "",
               region.flags & VFIO_REGION_INFO_FLAG_WRITE ? " write" : "", region.flags & VFIO_REGION_INFO_FLAG_MMAP ? " mmap" : "");
    }
}

static void print_probe(int device, __u32 feature, __u32 how, const char *name)
{
    struct vfio_device_feature probe = { .argsz = sizeof probe, .flags = feature | how | VFIO_DEVICE_FEATURE_PROBE };
    int result = ioctl(device, VFIO_DEVICE_FEATURE, &probe);
    printf("probe %u %s %s\n", feature, name, result ? strerrorname_np(errno) : "0");
}

static int export(int device, __u32 region, __u32 count, struct lease_range first, struct lease_range second)
{
    return lease_export_ranges(device, region, O_RDWR, count, (struct lease_range[]){ first, second });
}

static void print_refusal(const char *what, int fd)
{
    printf("export_%s %s\n", what, fd < 0 ? strerrorname_np(errno) : "accepted");
    if (fd >= 0)
        close(fd);
}

static void print_refusals(int device, __u32 region)
{
    struct lease_range page = { 0, 0x1000 }, none = { 0, 0 };
    print_refusal("unaligned_offset", export(device, region, 1, (struct lease_range){ 0x800, 0x1000 }, none));
    print_refusal("unaligned_length", export(device, region, 1, (struct lease_range){ 0, 0x800 }, none));
    print_refusal("empty", export(device, region, 1, none, none));
    print_refusal("no_ranges", export(device, region, 0, none, none));
    print_refusal("past_end", export(device, region, 1, (struct lease_range){ 1ULL << 40, 0x1000 }, none));
    print_refusal("overflow", export(device, region, 1, (struct lease_range){ ~0xfffULL, 0x2000 }, none));
    print_refusal("overlap", export(device, region, 2, page, page));
    print_refusal("config_space", export(device, VFIO_PCI_CONFIG_REGION_INDEX, 1, page, none));
}

static void print_fdinfo(int fd)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    if (!file)
        fail("open", path);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "exp_name:", 9) || !strncmp(line, "size:", 5))
            fputs(line, stdout);
    fclose(file);
}

static void print_dmabuf(int fd)
{
    static const struct {
        const char *name;
        int protection, flags;
    } maps[] = { { "shared", PROT_READ | PROT_WRITE, MAP_SHARED }, { "private", PROT_READ, MAP_PRIVATE } };

    printf("seek_end 0x%llx\n", (unsigned long long)lseek(fd, 0, SEEK_END));
    print_fdinfo(fd);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        void *at = mmap(NULL, 0x2000, maps[i].protection, maps[i].flags, fd, 0);
        printf("mmap_%s %s\n", maps[i].name, at == MAP_FAILED ? strerrorname_np(errno) : "0");
    }
    char byte;
    printf("read %s\n", pread(fd, &byte, 1, 0) < 0 ? strerrorname_np(errno) : "0");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: vfiocheck ADDRESS [REGION]\n", stderr);
        return EXIT_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    __u32 region = argc > 2 ? (__u32)atoi(argv[2]) : VFIO_PCI_BAR2_REGION_INDEX;
    int device = open_device(argv[1]);
    print_device(device);
    for (__u32 feature = 0; feature <= 16; feature++) {
        print_probe(device, feature, VFIO_DEVICE_FEATURE_GET, "get");
        print_probe(device, feature, VFIO_DEVICE_FEATURE_SET, "set");
    }
    print_refusals(device, region);
    int fd = export(device, region, 2, (struct lease_range){ 0x3000, 0x1000 }, (struct lease_range){ 0, 0x2000 });
    if (fd < 0)
        fail("VFIO_DEVICE_FEATURE_DMA_BUF", argv[1]);
    print_dmabuf(fd);
    close(device);
    printf("after_close_seek_end 0x%llx\n", (unsigned long long)lseek(fd, 0, SEEK_END));
    return 0;
}
