/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _VFIO_BAR_LEASE_PRIV_H
#define _VFIO_BAR_LEASE_PRIV_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>

#include "vfio_bar_lease.h"

enum lease_state {
	LEASE_LIVE,
	LEASE_PAUSED,		/* the device is being reset: faults wait */
	LEASE_SUSPENDED,	/* memory off, low power, error: faults get SIGBUS */
	LEASE_REVOKED,		/* never again */
};

/* The buffers of a device. Outlives the device while there are buffers. */
struct lease_set {
	struct kref kref;
	struct vfio_pci_core_device *core;	/* valid while open */

	struct mutex lock;		/* of all below and of the pins of the buffers */
	struct list_head buffers;	/* from export to the dma-buf's release */
	wait_queue_head_t unpinned;
	enum lease_state state;		/* of all that are not revoked */
	unsigned int opened;		/* how often; buffers of earlier opens are dead */
	unsigned int resets;		/* under way */
	unsigned int holds;		/* writes and features under way that may turn memory off */
	bool error;			/* reported by the PCI core and not recovered from */
	bool open;
};

struct lease_set *lease_set_create(struct vfio_pci_core_device *core);
void lease_set_put(struct lease_set *set);

void lease_set_open(struct lease_set *set);
void lease_set_close(struct lease_set *set);

/* Around what may turn memory off. Hold fails with -ERESTARTSYS, and then there is no hold. */
int lease_set_hold(struct lease_set *set);
void lease_set_unhold(struct lease_set *set);

/* After what may have changed whether memory is on. */
void lease_set_settle(struct lease_set *set);

/*
 * Fails with -ERESTARTSYS when it was killed waiting for importers; the reset is under way all
 * the same.
 */
int lease_set_reset_begin(struct lease_set *set);
void lease_set_reset_end(struct lease_set *set);

void lease_set_error(struct lease_set *set);
void lease_set_recovered(struct lease_set *set);

/* The features, as vfio_device_ops.device_feature has them. */
int lease_feature_export(struct lease_set *set, u32 flags, void __user *arg, size_t argsz);
int lease_feature_revoke(struct lease_set *set, u32 flags, void __user *arg, size_t argsz);
int lease_feature_memattr(struct lease_set *set, u32 flags, void __user *arg, size_t argsz);
int lease_feature_state(struct lease_set *set, u32 flags, void __user *arg, size_t argsz);

#endif
