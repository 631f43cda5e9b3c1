/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/barbroker-importer: a device that imports one dma-buf per open file and lets go of it as told. For tests only.
 *
 * Every call returns 0 or the error that the kernel's dma-buf layer or the exporter gave. Closing the file lets go of everything.
 */
#ifndef BARBROKER_IMPORTER_H
#define BARBROKER_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Attach without saying that the device can reach other devices' memory. */
#define BARBROKER_IMPORTER_NO_P2P	(1u << 0)
/* Attach without a way to be told that a mapping has become invalid. */
#define BARBROKER_IMPORTER_NOT_REVOCABLE (1u << 1)

/* EBUSY: this file has one already. */
struct barbroker_importer_attach {
	__s32 dmabuf_fd;
	__u32 flags;
};

/* What happens to a mapping when the exporter says that it has become invalid. */
enum {
	BARBROKER_IMPORTER_AT_ONCE,	/* gone before the exporter goes on */
	BARBROKER_IMPORTER_LATE,	/* gone after delay_ms */
	BARBROKER_IMPORTER_HOLD,	/* stays until UNMAP, DETACH or the end of the file */
};

struct barbroker_importer_mode {
	__u32 mode;
	__u32 delay_ms;
};

struct barbroker_importer_status {
	__u32 attached;
	__u32 mapped;
	__u32 told;		/* how often the exporter has said so since ATTACH */
	__u32 segments;		/* of the present or, when not mapped, the last mapping */
	__u64 address;		/* DMA address of its first segment */
	__u64 length;		/* sum of its segments */
};

/*
 * Moves up to 4096 bytes between the user's memory and the buffer by the device's own DMA.
 * Without STALE: ENOTCONN when nothing is mapped. With it: to where the first segment was, whether or not it is still mapped.
 * A DMA that the IOMMU refuses is not an error that a device reports: compare what was read.
 */
#define BARBROKER_IMPORTER_TO_BUFFER	(1u << 0)
#define BARBROKER_IMPORTER_STALE	(1u << 1)

struct barbroker_importer_dma {
	__u64 offset;
	__u64 user;
	__u32 length;
	__u32 flags;
};

#define BARBROKER_IMPORTER_ATTACH	_IOW('b', 1, struct barbroker_importer_attach)
#define BARBROKER_IMPORTER_DETACH	_IO('b', 2)
#define BARBROKER_IMPORTER_MAP		_IO('b', 3)
#define BARBROKER_IMPORTER_UNMAP	_IO('b', 4)
#define BARBROKER_IMPORTER_MODE		_IOW('b', 5, struct barbroker_importer_mode)
#define BARBROKER_IMPORTER_STATUS	_IOR('b', 6, struct barbroker_importer_status)
#define BARBROKER_IMPORTER_DMA		_IOW('b', 7, struct barbroker_importer_dma)

#endif
