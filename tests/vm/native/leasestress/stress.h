// SPDX-License-Identifier: Apache-2.0
// What the processes of leasestress share, and what its parts offer each other. main.c says what the program does.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// What can happen, and whether a run in which it did not happen has failed: always, never, or when the lab's importer is there.
#define KINDS(X) \
    X(EXPORT_ONE, always, "export of one range") \
    X(EXPORT_MANY, always, "export of several ranges, out of order") \
    X(EXPORT_HUGE, always, "export of 2 MiB or more") \
    X(EXPORT_AGAIN, always, "second export of the same bytes") \
    X(EXPORT_SUSPENDED, always, "export while memory was off") \
    X(MEMATTR, always, "MEMATTR") \
    X(STATE_LIVE, always, "STATE: live") \
    X(STATE_SUSPENDED, always, "STATE: suspended") \
    X(STATE_REVOKED, always, "STATE: revoked") \
    X(REVOKE, always, "REVOKE") \
    X(REVOKE_AGAIN, always, "REVOKE of what was revoked (EBADFD)") \
    X(ARGUMENT_INSIDE, always, "call whose argument lies in a buffer") \
    X(ABANDON, always, "owner closes its fd, does not revoke") \
    X(RESET, always, "VFIO_DEVICE_RESET") \
    X(HOT_RESET, always, "VFIO_DEVICE_PCI_HOT_RESET") \
    X(MEMORY_OFF, always, "memory-enable bit off and on") \
    X(LOW_POWER, never, "low power and back") \
    X(CLOSE, always, "device closed and opened") \
    X(REBIND, always, "driver unbound and bound") \
    X(OWNER_KILLED, always, "owner process killed") \
    X(TAKE, always, "fd taken from a socket") \
    X(MAP, always, "mmap") \
    X(MAP_DEAD, always, "mmap refused, the buffer is over") \
    X(MAP_PRIVATE_REFUSED, always, "private mmap refused") \
    X(READ, always, "read of one word") \
    X(WRITE, always, "write of one word") \
    X(SCAN, always, "read of many pages in order") \
    X(HAMMER, always, "reads of one buffer until it is over") \
    X(COPY_FROM, always, "kernel copies from a buffer") \
    X(COPY_TO, always, "kernel copies to a buffer") \
    X(FORK, always, "fork, the child reads") \
    X(MREMAP, always, "mremap to another place") \
    X(SHRINK, always, "mremap to a smaller size") \
    X(GROW_REFUSED, always, "mremap to a larger size refused") \
    X(UNMAP_PART, always, "munmap of a part") \
    X(UNMAP, always, "munmap") \
    X(PROTECT, always, "mprotect of a part") \
    X(ADVISE, always, "madvise, mlock") \
    X(LOOK, always, "pagemap, mincore, move_pages, smaps, clear_refs") \
    X(DUP, always, "dup of an fd") \
    X(PASS, always, "fd passed to another process") \
    X(REOPEN, always, "O_PATH and open through /proc") \
    X(DROP, always, "client lets go of a buffer") \
    X(CLIENT_KILLED, always, "client process killed") \
    X(CLIENT_STOPPED, always, "client process stopped for a while") \
    X(SIGBUS_SUSPENDED, always, "SIGBUS, memory away for a while") \
    X(SIGBUS_OVER, always, "SIGBUS, the buffer is over") \
    X(CAME_BACK, always, "content seen again after that while") \
    X(CHILD_SIGBUS, always, "SIGBUS in a forked child") \
    X(ATTACH, importer, "importer attaches") \
    X(IMPORT, importer, "importer maps for DMA") \
    X(IMPORT_REFUSED, importer, "importer refused, the buffer is over") \
    X(LET_GO, importer, "importer lets go by itself") \
    X(TOLD, importer, "importer was told to let go") \
    X(DMA_READ, importer, "device reads by DMA through an importer")

enum kind {
#define X(name, required, text) name,
    KINDS(X)
#undef X
    KIND_COUNT
};

enum { MAX_DEVICES = 8, MAX_EPOCHS = 1 << 15, MAX_BUFFERS = 1 << 22, MAX_CLIENTS = 8, TRACES = 256, PAGE = 4096, HUGE = 2 << 20 };

// From an open of the device to the close of its last fd, which is the end of every buffer that was exported in between.
struct epoch {
    _Atomic uint64_t over_at; // CLOCK_MONOTONIC in ns, read after the close had returned; 0 before
    atomic_bool ending;       // set before the close
};

struct buffer {
    uint64_t key; // of its pattern
    unsigned device, epoch, pages, number;
    _Atomic uint64_t over_at; // read after REVOKE had returned; 0 before
    atomic_bool ending;       // set before REVOKE
};

struct trace {
    uint64_t time;
    enum kind kind;
    unsigned buffer;
    int result;
    pid_t thread;
};

struct device {
    char name[32], address[16];
    // Things that take memory away for a while: how many have begun, and how many of those are over.
    atomic_uint started, finished;
    atomic_uint epoch;
    atomic_uint next_trace;
    struct trace traces[TRACES];
    struct epoch epochs[MAX_EPOCHS];
};

struct shared {
    atomic_bool stop, failed;
    atomic_ulong counts[KIND_COUNT];
    atomic_ulong owner_beats[MAX_DEVICES], client_beats[MAX_CLIENTS];
    uint64_t begin;
    unsigned device_count;
    struct device devices[MAX_DEVICES];
    atomic_uint next_buffer;
    struct buffer buffers[MAX_BUFFERS];
};
extern struct shared *shared;

// sockets[device]: fds from the owner to whoever reads first. The last is for fds that clients pass on.
struct sockets {
    int in, out;
};
extern struct sockets sockets[MAX_DEVICES + 1];
enum { POOL = MAX_DEVICES };

// util.c
uint64_t now(void);
uint64_t next_random(uint64_t *state);
unsigned below(uint64_t *state, unsigned limit);
void pause_randomly(uint64_t *state, unsigned most_us);
void count(enum kind kind);
void trace(struct device *device, enum kind kind, const struct buffer *buffer, int result);
void send_fd(int socket, unsigned number, int fd, bool *sent);
int receive_fd(int socket, unsigned *number);
// Says who, when and what, shows what was done with the device last, and ends the process; main sees it at once.
__attribute__((format(printf, 2, 3), noreturn)) void violation(const struct buffer *buffer, const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void broken(const char *format, ...);

// access.c
struct moment {
    uint64_t begin;
    unsigned started;
    bool idle;
};
enum verdict { GOOD, AWAY, OVER };
enum way { READ_WORD, WRITE_WORD, COPY_OUT, COPY_IN };
void catch_sigbus(void);
struct moment moment_now(const struct buffer *buffer);
bool is_ending(const struct buffer *buffer);
bool must_be_over(const struct buffer *buffer, struct moment moment);
bool may_be_away(const struct buffer *buffer, struct moment moment);
uint64_t word_of(const struct buffer *buffer, unsigned page, unsigned word);
enum verdict touch(struct buffer *buffer, char *page_at, unsigned page, unsigned word, enum way way);
char *map_aligned(int fd, size_t length, off_t offset, int protection);

// device.c
struct vfio {
    int container, group, device;
    uint64_t config, bar_size;
    char group_path[64];
};
void vfio_open(struct vfio *vfio, const struct device *device);
void vfio_open_device(struct vfio *vfio, const struct device *device);
void vfio_close_all(struct vfio *vfio);
void vfio_memory(const struct vfio *vfio, bool on);
int vfio_reset(const struct vfio *vfio);
int vfio_hot_reset(const struct vfio *vfio);
int vfio_low_power(const struct vfio *vfio, bool on);
void vfio_rebind(const struct device *device);

// owner.c, client.c, importer.c: they return when the run stops.
void run_owner(unsigned device, uint64_t seed);
void run_client(unsigned client, uint64_t seed);
void import_randomly(struct buffer *buffer, int fd, uint64_t *random);
bool importer_is_there(void);
