/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What user space needs to speak to a device that vfio-bar-lease drives. All calls are
 * VFIO_DEVICE_FEATURE ioctls on the device's fd; the structs below are the feature's data.
 *
 * Export is the kernel's own: VFIO_DEVICE_FEATURE_DMA_BUF (11), VFIO_DEVICE_FEATURE_GET, struct
 * vfio_device_feature_dma_buf.
 */
#ifndef _VFIO_BAR_LEASE_H
#define _VFIO_BAR_LEASE_H

#include <linux/types.h>

/*
 * SET: takes back one buffer that was exported through this device fd, for good. 0 means that it
 * is done: no mapping and no importer reaches the memory, and none ever will. It waits for
 * importers to let go; a signal ends the wait (EINTR), not the revocation: nobody new gets in,
 * and another call waits on.
 *
 * EBADFD: was revoked before, and access is gone. EBADF, EINVAL: not a dma-buf. ENODEV: not a
 * buffer of this device, or one from before it was last closed (and so revoked).
 */
#define VFIO_BAR_LEASE_FEATURE_REVOKE	0xBA01

struct vfio_bar_lease_revoke {
	__s32	dmabuf_fd;
};

/*
 * SET: how mmaps of the buffer made from now on are cached. ENOENT: unknown memattr. EBADFD: the
 * buffer is revoked. Others as above. What a mapping gets is up to the architecture; see
 * README.md.
 */
#define VFIO_BAR_LEASE_FEATURE_MEMATTR	0xBA02

struct vfio_bar_lease_memattr {
	__s32	dmabuf_fd;
	__u32	memattr;
#define VFIO_BAR_LEASE_MEMATTR_NC	0	/* not cached; what a new buffer has */
#define VFIO_BAR_LEASE_MEMATTR_WC	1	/* write-combining */
};

/* GET: what has become of a buffer. Errors as for REVOKE. */
#define VFIO_BAR_LEASE_FEATURE_STATE	0xBA03

struct vfio_bar_lease_state {
	__s32	dmabuf_fd;	/* in */
	__u32	state;		/* out */
#define VFIO_BAR_LEASE_STATE_LIVE	0
#define VFIO_BAR_LEASE_STATE_SUSPENDED	1	/* no access now; may come back */
#define VFIO_BAR_LEASE_STATE_REVOKED	2	/* no access, for good */
#define VFIO_BAR_LEASE_STATE_REVOKING	3	/* an importer has yet to let go; else as 2 */
};

#endif
