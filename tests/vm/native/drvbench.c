// SPDX-License-Identifier: Apache-2.0
// What vfio-bar-lease's buffers cost, beside the mmap of the same BAR by its device fd, which is vfio-pci's own.
//
//     drvbench ADDRESS FILE
//
// BAR 2 of the device must have 1 GiB at least. For 4 KiB, 2 MiB and 1 GiB, the median of many turns of:
//   export       the fd and an mmap of it; bare: mmap of the device fd
//   first_touch  the first word of each page of 4 KiB is read; bare: the same
//   revoke       REVOKE of the buffer, all of it mapped; bare: munmap of the same mapping
//   memory_off   the memory-enable bit is turned off, all of it mapped; bare: the same
// Prints a table, and how many page faults the first touch took; writes the figures as JSON to FILE.
#define _GNU_SOURCE
#include "lease.h"

#include <linux/pci_regs.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_TURNS = 200, STEPS = 4 };
enum step { EXPORT, TOUCH, REVOKE, MEMORY_OFF };

static const struct size {
    const char *name;
    size_t bytes;
    int turns;
    // The most page faults that the first touch may take: huge pages are used where they can be.
    long faults;
} sizes[] = { { "4k", PAGE, 200, 1 }, { "2m", 2UL << 20, 100, 1 }, { "1g", 1UL << 30, 9, 512 } };
enum { SIZES = sizeof sizes / sizeof *sizes };
static const char *const steps[STEPS] = { "export", "first_touch", "revoke", "memory_off" };

struct samples {
    double us[STEPS][MOST_TURNS];
    long faults;
};

static int device;
static off_t config;
static off_t bar;
static char *place;

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static long faults_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void memory(bool on)
{
    uint16_t command;
    if (pread(device, &command, sizeof command, config + PCI_COMMAND) != sizeof command)
        fail("pread", "the command register");
    command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
    if (pwrite(device, &command, sizeof command, config + PCI_COMMAND) != sizeof command)
        fail("pwrite", "the command register");
}

static int export(size_t bytes)
{
    int fd = lease_export_range(device, VFIO_PCI_BAR2_REGION_INDEX, O_RDWR, 0, bytes);
    if (fd < 0)
        fail("VFIO_DEVICE_FEATURE_DMA_BUF", "");
    return fd;
}

// At the same place, which is aligned to 1 GiB, so that both can have pages of any size.
static void map(int fd, off_t offset, size_t bytes)
{
    if (mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED)
        fail("mmap", "");
}

static void touch(size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        (void)*(volatile uint64_t *)(place + i);
}

static void measure_touch(struct samples *samples, int turn, size_t bytes)
{
    long before = faults_now();
    double begin = now_us();
    touch(bytes);
    samples->us[TOUCH][turn] = now_us() - begin;
    samples->faults = faults_now() - before;
}

static void measure_memory_off(struct samples *samples, int turn)
{
    double begin = now_us();
    memory(false);
    samples->us[MEMORY_OFF][turn] = now_us() - begin;
    memory(true);
}

static void lease_turn(struct samples *samples, int turn, size_t bytes)
{
    double begin = now_us();
    int fd = export(bytes);
    map(fd, 0, bytes);
    samples->us[EXPORT][turn] = now_us() - begin;
    measure_touch(samples, turn, bytes);
    measure_memory_off(samples, turn);
    touch(bytes);
    begin = now_us();
    errno = lease_revoke(device, fd);
    if (errno)
        fail("REVOKE", "");
    samples->us[REVOKE][turn] = now_us() - begin;
    munmap(place, bytes);
    close(fd);
}

static void bare_turn(struct samples *samples, int turn, size_t bytes)
{
    double begin = now_us();
    map(device, bar, bytes);
    samples->us[EXPORT][turn] = now_us() - begin;
    measure_touch(samples, turn, bytes);
    measure_memory_off(samples, turn);
    touch(bytes);
    begin = now_us();
    munmap(place, bytes);
    samples->us[REVOKE][turn] = now_us() - begin;
}

static int compare(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

// Returns whether the first touch took no more faults than it may.
static bool measure(const struct size *size, FILE *json, bool first)
{
    static struct samples lease, bare;
    for (int turn = 0; turn < size->turns; turn++) {
        lease_turn(&lease, turn, size->bytes);
        bare_turn(&bare, turn, size->bytes);
    }
    for (int step = 0; step < STEPS; step++) {
        double value = median(lease.us[step], size->turns), base = median(bare.us[step], size->turns);
        char name[32];
        snprintf(name, sizeof name, "lab_%s_%s", steps[step], size->name);
        printf("%-22s %10.1f %12.1f %8.2f\n", name, value, base, value / base);
        fprintf(json, "%s  {\n    \"name\": \"lab_%s_%s\",\n    \"unit\": \"µs\",\n    \"value\": %.3f,\n    \"bare\": %.3f,\n    \"ratio\": %.2f\n  }",
                first && step == 0 ? "" : ",\n", steps[step], size->name, value, base, value / base);
    }
    printf("page faults of the first touch of %s: %ld, bare %ld\n", size->name, lease.faults, bare.faults);
    return lease.faults <= size->faults;
}

int main(int argc, char **argv)
{
    size_t largest = sizes[SIZES - 1].bytes;
    uint64_t size;
    bool good = true;
    if (argc != 3) {
        fputs("usage: drvbench ADDRESS FILE\n", stderr);
        return EXIT_USAGE;
    }
    device = lease_open(argv[1]).fd;
    config = (off_t)lease_region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX, NULL);
    bar = (off_t)lease_region_offset(device, VFIO_PCI_BAR2_REGION_INDEX, &size);
    if (size < largest) {
        fprintf(stderr, "drvbench: BAR 2 has only 0x%llx bytes\n", (unsigned long long)size);
        return EXIT_FAILED;
    }
    memory(true);
    char *room = mmap(NULL, 2 * largest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        fail("mmap", "room");
    place = (char *)(((uintptr_t)room + largest - 1) & ~(largest - 1));
    FILE *json = fopen(argv[2], "we");
    if (!json)
        fail("open", argv[2]);
    printf("%-22s %10s %12s %8s\n", "median, us", "lease", "vfio-pci", "ratio");
    fputs("[\n", json);
    for (int i = 0; i < SIZES; i++)
        good &= measure(&sizes[i], json, i == 0);
    fputs("\n]\n", json);
    if (fclose(json))
        fail("write", argv[2]);
    if (!good)
        fputs("drvbench: huge pages were not used\n", stderr);
    return good ? 0 : EXIT_FAILED;
}
