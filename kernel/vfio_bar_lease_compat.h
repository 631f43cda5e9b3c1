/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernels from 6.19 on, by what Kbuild finds in their headers: what is lacking came with
 * different versions, and distributions carry it back. Only 7.2 and 7.3 were tried, which have it
 * all.
 */
#ifndef _VFIO_BAR_LEASE_COMPAT_H
#define _VFIO_BAR_LEASE_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/mmzone.h>
#include <linux/pci.h>
#include <linux/version.h>
#include <linux/vfio_pci_core.h>

/*
 * Before 7.3 MADV_COLD and MADV_PAGEOUT take what is behind a huge page of a VM_MIXEDMAP mapping
 * for RAM, and the kernel crashes (seen on 7.2.12). They refuse VM_PFNMAP.
 */
#define LEASE_HUGE_MIXEDMAP (LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0))

/* pfn_valid() is about whole blocks of so many pages. */
#ifdef PAGES_PER_SUBSECTION
#define LEASE_PFN_VALID_STEP PAGES_PER_SUBSECTION
#else
#define LEASE_PFN_VALID_STEP 1UL
#endif

#ifndef LEASE_HAS_PHYS_VEC
#define phys_vec dma_buf_phys_vec
#endif

#ifndef LEASE_HAS_ATTACH_REVOCABLE
static inline void dma_buf_invalidate_mappings(struct dma_buf *dmabuf)
{
	dma_buf_move_notify(dmabuf);
}

static inline bool dma_buf_attach_revocable(struct dma_buf_attachment *attachment)
{
	return attachment->importer_ops && attachment->importer_ops->move_notify;
}

/* There, importers that pin do not let go when they are told, and are refused by this. */
static inline int lease_refuse_pin(struct dma_buf_attachment *attachment)
{
	return -EOPNOTSUPP;
}

static inline void lease_ignore_unpin(struct dma_buf_attachment *attachment)
{
}

#define LEASE_PIN_OPS .pin = lease_refuse_pin, .unpin = lease_ignore_unpin,
#else
#define LEASE_PIN_OPS
#endif

/*
 * Whether the core has claimed a BAR, which it did when the device was opened, or does when
 * asked.
 */
static inline bool lease_bar_claimed(struct vfio_pci_core_device *core, u32 bar)
{
#ifdef LEASE_HAS_GET_IOMAP
	return !IS_ERR(vfio_pci_core_get_iomap(core, bar));
#else
	return !vfio_pci_core_setup_barmap(core, bar);
#endif
}

#ifndef LEASE_HAS_MEMORY_ENABLED
static inline bool __vfio_pci_memory_enabled(struct vfio_pci_core_device *core)
{
	return core->pdev->current_state < PCI_D3hot &&
	       (core->pdev->no_command_memory || core->vconfig[PCI_COMMAND] & PCI_COMMAND_MEMORY);
}
#endif

#endif
