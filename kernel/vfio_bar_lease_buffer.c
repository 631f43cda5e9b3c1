// SPDX-License-Identifier: GPL-2.0-only
/*
 * The buffers of a device: exported, mapped, imported, suspended, revoked.
 *
 * The promise: when a buffer was revoked, and REVOKE or the close of the device has returned, no
 * CPU mapping and no importer reaches its memory, and none ever will. While it is suspended, the
 * same until the suspension ends.
 *
 * Locks, outermost first
 *
 *	device_lock,		held by callers of the reset hooks. We take neither.
 *	the core's memory_lock
 *	mmap_lock or VMA lock	held by callers of mmap and of faults.
 *	lease_set.lock		list, pins and reasons. Short: nothing is waited for under it.
 *	lease_buffer.gate	read: from a fault's look at the state until its page is in.
 *				write: to change the state.
 *	dma_resv of dma-buf	attachments; the dma-buf core holds it for map and unmap.
 *	i_mmap_rwsem of inode	taken by unmap_mapping_range().
 *
 * gate, dma_resv and i_mmap_rwsem are never held together by us. The kernel's own order is
 * mmap_lock, dma_resv, reclaim, i_mmap_rwsem (dma_resv_lockdep()); gate is under mmap_lock and
 * above reclaim, for a fault may allocate page tables. No lock and no pause is held over a copy
 * from or to user space: the user's memory may be one of our mappings, and its fault would wait
 * for us. (A hold is, and so faults do not wait for a hold to end: they get SIGBUS.)
 *
 * Ways in, and why each is closed after "set the state, zap, invalidate, wait"
 *
 * - A fault inserts under gate for read what it saw allowed there. The state is set under gate
 *   for write: whoever saw it live has inserted before we zap, whoever comes later sees it.
 * - mmap only makes a VMA, its faults decide. It looks at the state to give a better answer.
 * - fork: dup_mmap() links the child's VMA just behind its parent's before it copies entries. A
 *   zap visits them in this order under i_mmap_rwsem: it finds the child, or the child copies
 *   from what is zapped already.
 * - mremap: move_page_tables() takes i_mmap_rwsem unless the new VMA comes behind the old one in
 *   the order of a zap, which so finds the entry at one of them. It cannot grow a mapping
 *   (VM_DONTEXPAND).
 * - All VMAs are in one address space, that of the dma-buf's inode, also those in other processes
 *   and those of a driver that used dma_buf_mmap(). A file that is opened anew through /proc has
 *   no operations (the inode has none).
 * - Private mappings, of which copies could not be taken back, are refused. Nobody keeps the
 *   addresses behind a mapping: VM_IO refuses get_user_pages(), and about VFIO itself see
 *   lease_buffer_vm_kind(). KVM looks, but lets go when the mapping is zapped.
 * - An importer's map looks at the state under dma_resv. We take dma_resv once after the state
 *   was set: a map before that was counted and its importer is told, a map after that sees the
 *   state.
 * - An importer that has been told is waited for in full, without any lock: fences first, then
 *   the count of its mappings. One that never lets go hangs who revokes this buffer, and who
 *   suspends or closes the device; not faults, exports, revocations of other buffers, other
 *   devices.
 *
 * Lives: a buffer is in its set's list until the release of its dma-buf, after the device was
 * closed too. Who walks the list pins one buffer, and drops the lock for what sleeps; release
 * waits for pins, so what is pinned stays in the list. A walk never keeps release waiting long:
 * by the time of release nobody holds the file, so there is neither mapping nor importer to wait
 * for. The file itself may be gone when release comes (O_PATH descriptors hold the dentry only),
 * and the inode as well: we hold a reference to the inode, and walks never touch the file.
 *
 * Reasons to suspend overlap, so they are counted, and each change of one makes the state anew
 * from all (lease_set_wanted()). Who waits for a suspension to take effect stops waiting when
 * another thread has ended it.
 */
#include <linux/dma-buf.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_bar_lease_compat.h"
#include "vfio_bar_lease_priv.h"

MODULE_IMPORT_NS("DMA_BUF");

struct lease_buffer {
	struct dma_buf *dmabuf;
	struct inode *inode;
	struct lease_set *set;
	struct list_head entry;
	unsigned int pins;		/* set->lock */
	unsigned int opened;		/* what set->opened was at export */

	struct rw_semaphore gate;
	enum lease_state state;		/* written with gate held for write */
	bool drained;			/* revoked, and nobody is left */
	atomic_t mapped;		/* by importers */
	wait_queue_head_t wait;		/* for state and mapped */
	u32 memattr;
	vm_flags_t vm_kind;		/* of mappings: VM_MIXEDMAP, or VM_PFNMAP */

	struct p2pdma_provider *provider;
	size_t size;
	u32 nr_ranges;
	struct phys_vec ranges[] __counted_by(nr_ranges);
};

/* One buffer */

static void lease_buffer_set_state(struct lease_buffer *buf, enum lease_state state)
{
	down_write(&buf->gate);
	if (buf->state != LEASE_REVOKED)
		WRITE_ONCE(buf->state, state);
	up_write(&buf->gate);
	wake_up_all(&buf->wait);
}

/* After the state was set: takes mappings away and tells importers. */
static int lease_buffer_cut(struct lease_buffer *buf, unsigned int unused)
{
	unmap_mapping_range(buf->inode->i_mapping, 0, 0, 1);

	dma_resv_lock(buf->dmabuf->resv, NULL);
	dma_buf_invalidate_mappings(buf->dmabuf);
	dma_resv_unlock(buf->dmabuf->resv);
	return 0;
}

/* After the cut: waits until importers are gone. -ERESTARTSYS as mode allows. */
static int lease_buffer_drain(struct lease_buffer *buf, unsigned int mode)
{
	/*
	 * Fences come to an end by themselves; only importers may need a signal to be given up.
	 */
	if (dma_resv_wait_timeout(buf->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP,
				  mode == TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT) < 0)
		return -ERESTARTSYS;
	return wait_event_state(buf->wait, !atomic_read_acquire(&buf->mapped) ||
				READ_ONCE(buf->state) == LEASE_LIVE, mode);
}

/* For the close of a device: there is no one left to call REVOKE. */
static int lease_buffer_finish(struct lease_buffer *buf, unsigned int mode)
{
	int err = lease_buffer_drain(buf, mode);

	if (!err)
		WRITE_ONCE(buf->drained, true);
	return err;
}

/*
 * When a suspension is over: importers may map again. The dma-buf core has no other way to tell
 * them than to invalidate.
 */
static int lease_buffer_announce(struct lease_buffer *buf, unsigned int unused)
{
	dma_resv_lock(buf->dmabuf->resv, NULL);
	if (READ_ONCE(buf->state) == LEASE_LIVE)
		dma_buf_invalidate_mappings(buf->dmabuf);
	dma_resv_unlock(buf->dmabuf->resv);
	return 0;
}

/* All buffers of a device */

/* Calls fn for each buffer that somebody may have access to, with no lock held. */
static int lease_set_walk(struct lease_set *set,
			  int (*fn)(struct lease_buffer *buf, unsigned int mode), unsigned int mode)
{
	struct lease_buffer *buf;
	int err = 0;

	mutex_lock(&set->lock);
	list_for_each_entry(buf, &set->buffers, entry) {
		if (READ_ONCE(buf->drained))
			continue;
		buf->pins++;
		mutex_unlock(&set->lock);
		err = fn(buf, mode);
		mutex_lock(&set->lock);
		if (!--buf->pins)
			wake_up_all(&set->unpinned);
		if (err)
			break;
	}
	mutex_unlock(&set->lock);
	return err;
}

/*
 * As the core sees it. vconfig is there while the device is open. A racing change is seen by its
 * author, afterwards.
 */
static bool lease_set_memory_on(struct lease_set *set)
{
	return !READ_ONCE(set->core->pm_runtime_engaged) && __vfio_pci_memory_enabled(set->core);
}

static enum lease_state lease_set_wanted(struct lease_set *set)
{
	if (!set->open)
		return LEASE_REVOKED;
	if (set->holds || set->error || !lease_set_memory_on(set))
		return LEASE_SUSPENDED;
	return set->resets ? LEASE_PAUSED : LEASE_LIVE;
}

/*
 * Sets the state of all buffers by the reasons there are. Says whether it is another one than
 * before.
 */
static bool lease_set_mark(struct lease_set *set)
{
	enum lease_state wanted = lease_set_wanted(set);
	struct lease_buffer *buf;

	lockdep_assert_held(&set->lock);
	if (wanted == set->state)
		return false;
	set->state = wanted;
	list_for_each_entry(buf, &set->buffers, entry)
		lease_buffer_set_state(buf, wanted);
	return true;
}

/*
 * Adds to or drops from one of the counted reasons, and sees to what follows from it. Who adds a
 * reason waits for importers even if there were others: whoever was first may not be done.
 */
static int lease_set_count(struct lease_set *set, unsigned int *reason, int change,
			   unsigned int mode)
{
	enum lease_state state;
	bool changed;

	mutex_lock(&set->lock);
	*reason += change;
	changed = lease_set_mark(set);
	state = set->state;
	mutex_unlock(&set->lock);

	if (state == LEASE_LIVE)
		return changed ? lease_set_walk(set, lease_buffer_announce, 0) : 0;
	if (!changed && change <= 0)
		return 0;
	lease_set_walk(set, lease_buffer_cut, 0);
	return lease_set_walk(set, lease_buffer_drain, mode);
}

int lease_set_hold(struct lease_set *set)
{
	int err = lease_set_count(set, &set->holds, 1, TASK_INTERRUPTIBLE);

	if (err)
		lease_set_unhold(set);
	return err;
}

void lease_set_unhold(struct lease_set *set)
{
	lease_set_count(set, &set->holds, -1, TASK_KILLABLE);
}

void lease_set_settle(struct lease_set *set)
{
	lease_set_count(set, &set->holds, 0, TASK_KILLABLE);
}

int lease_set_reset_begin(struct lease_set *set)
{
	return lease_set_count(set, &set->resets, 1, TASK_KILLABLE);
}

void lease_set_reset_end(struct lease_set *set)
{
	mutex_lock(&set->lock);
	set->error = false;
	mutex_unlock(&set->lock);
	lease_set_count(set, &set->resets, -1, TASK_KILLABLE);
}

/* Does not wait for importers: the error has happened, and recovery is not to depend on them. */
void lease_set_error(struct lease_set *set)
{
	bool changed;

	mutex_lock(&set->lock);
	set->error = true;
	changed = lease_set_mark(set);
	mutex_unlock(&set->lock);
	if (changed)
		lease_set_walk(set, lease_buffer_cut, 0);
}

void lease_set_recovered(struct lease_set *set)
{
	mutex_lock(&set->lock);
	set->error = false;
	mutex_unlock(&set->lock);
	lease_set_settle(set);
}

void lease_set_open(struct lease_set *set)
{
	mutex_lock(&set->lock);
	set->open = true;
	set->opened++;
	set->error = false;
	/* No buffer changes by this, they are all revoked. */
	lease_set_mark(set);
	mutex_unlock(&set->lock);
}

void lease_set_close(struct lease_set *set)
{
	mutex_lock(&set->lock);
	set->open = false;
	lease_set_mark(set);
	mutex_unlock(&set->lock);
	lease_set_walk(set, lease_buffer_cut, 0);
	lease_set_walk(set, lease_buffer_finish, TASK_UNINTERRUPTIBLE);
}

struct lease_set *lease_set_create(struct vfio_pci_core_device *core)
{
	struct lease_set *set = kzalloc(sizeof(*set), GFP_KERNEL);

	if (!set)
		return NULL;
	kref_init(&set->kref);
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->buffers);
	init_waitqueue_head(&set->unpinned);
	set->core = core;
	set->state = LEASE_REVOKED;
	return set;
}

static void lease_set_free(struct kref *kref)
{
	kfree(container_of(kref, struct lease_set, kref));
}

void lease_set_put(struct lease_set *set)
{
	kref_put(&set->kref, lease_set_free);
}

/* CPU mappings */

/*
 * Whether a block of this order at this page of the buffer lies within one range and is aligned
 * on the device; and its address.
 */
static bool lease_buffer_block(struct lease_buffer *buf, pgoff_t pgoff, unsigned int order,
			       unsigned long *pfn)
{
	u64 offset = (u64)pgoff << PAGE_SHIFT;
	u32 i;

	for (i = 0; i < buf->nr_ranges; i++) {
		const struct phys_vec *range = &buf->ranges[i];

		if (offset < range->len) {
			*pfn = PHYS_PFN(range->paddr + offset);
			return (PAGE_SIZE << order) <= range->len - offset &&
			       IS_ALIGNED(*pfn, 1UL << order);
		}
		offset -= range->len;
	}
	return false;
}

/*
 * No PUD-sized pages: who then unmaps a part of one that is not PMD-aligned brings the kernel
 * down. vma_adjust_trans_huge() looks for a PMD to split with mm_find_pmd(), which takes the huge
 * PUD for a table (seen on 7.3.4, with vfio-pci's own mmap as well).
 */
static vm_fault_t lease_fault_insert(struct vm_fault *vmf, unsigned long pfn, unsigned int order)
{
	if (!order)
		return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	if (IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && order == PMD_ORDER &&
	    (LEASE_HUGE_MIXEDMAP || !(vmf->vma->vm_flags & VM_MIXEDMAP)))
		/*
		 * Write: /proc/PID/clear_refs protects entries, and new ones of the mapping. Without it
		 * a write to such a huge page would fault for ever (seen on 7.3.4).
		 */
		return vmf_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
	return VM_FAULT_FALLBACK;
}

/*
 * Waits for a reset to end, without the lock of the address space, which others need for more
 * than this mapping. That lock is what keeps VMA and buffer, so the file is held instead, and all
 * is looked up again by the retry.
 */
static vm_fault_t lease_fault_wait(struct vm_fault *vmf, struct lease_buffer *buf)
{
	struct file *file = vmf->vma->vm_file;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	get_file(file);
	release_fault_lock(vmf);
	wait_event_killable(buf->wait, READ_ONCE(buf->state) != LEASE_PAUSED);
	fput(file);
	return VM_FAULT_RETRY;
}

static vm_fault_t lease_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct lease_buffer *buf = vma->vm_private_data;
	unsigned long start = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
	vm_fault_t ret = VM_FAULT_SIGBUS;
	enum lease_state state;
	unsigned long pfn;
	pgoff_t pgoff;

	if (start < vma->vm_start || start + (PAGE_SIZE << order) > vma->vm_end)
		return VM_FAULT_FALLBACK;
	pgoff = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	if (!lease_buffer_block(buf, pgoff, order, &pfn))
		return order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;

	down_read(&buf->gate);
	state = buf->state;
	if (state == LEASE_LIVE)
		ret = lease_fault_insert(vmf, pfn, order);
	up_read(&buf->gate);

	return state == LEASE_PAUSED ? lease_fault_wait(vmf, buf) : ret;
}

static vm_fault_t lease_fault(struct vm_fault *vmf)
{
	return lease_huge_fault(vmf, 0);
}

static const struct vm_operations_struct lease_vm_ops = {
	.fault		= lease_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault	= lease_huge_fault,
#endif
};

/*
 * VFIO's type1 IOMMU backend maps the addresses behind a VM_PFNMAP mapping for DMA, and keeps
 * them when the mapping is zapped: a client with a VFIO device of its own would keep the BAR
 * after the revoke (seen on 7.3.4). It refuses VM_MIXEDMAP, which serves us as well; but that is
 * not allowed for addresses with page structs, as a BAR can have when its memory map was made
 * together with that of RAM.
 */
static vm_flags_t lease_buffer_vm_kind(struct lease_buffer *buf)
{
	unsigned long pfn, end;
	u32 i;

	for (i = 0; i < buf->nr_ranges; i++) {
		end = PHYS_PFN(buf->ranges[i].paddr + buf->ranges[i].len);
		pfn = PHYS_PFN(buf->ranges[i].paddr);
		/* The answer is the same for all of a block of this size. */
		for (; pfn < end; pfn = ALIGN(pfn + 1, LEASE_PFN_VALID_STEP)) {
			if (pfn_valid(pfn))
				return VM_PFNMAP;
			cond_resched();
		}
	}
	return VM_MIXEDMAP;
}

/*
 * That the mapping lies within the buffer, and is not writable when the fd is not, was checked by
 * dma-buf and mmap.
 */
static int lease_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct lease_buffer *buf = dmabuf->priv;

	/* Not VM_SHARED, which a shared mapping of a read-only file does not have. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (READ_ONCE(buf->state) == LEASE_REVOKED)
		return -ENODEV;

	if (READ_ONCE(buf->memattr) == VFIO_BAR_LEASE_MEMATTR_WC)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	else
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	/* VM_HUGEPAGE: as if advised by madvise(), which some distributions ask for. It costs no memory. */
	vm_flags_set(vma, VM_ALLOW_ANY_UNCACHED | VM_IO | VM_DONTEXPAND | VM_DONTDUMP |
		     VM_HUGEPAGE | buf->vm_kind);
	vma->vm_private_data = buf;
	vma->vm_ops = &lease_vm_ops;
	return 0;
}

/* Importers */

static int lease_buffer_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	struct lease_buffer *buf = dmabuf->priv;

	if (!attachment->peer2peer || !dma_buf_attach_revocable(attachment))
		return -EOPNOTSUPP;
	return READ_ONCE(buf->state) == LEASE_LIVE ? 0 : -ENODEV;
}

static struct sg_table *lease_buffer_map(struct dma_buf_attachment *attachment,
					 enum dma_data_direction dir)
{
	struct lease_buffer *buf = attachment->dmabuf->priv;
	struct sg_table *sgt;

	dma_resv_assert_held(buf->dmabuf->resv);
	if (READ_ONCE(buf->state) != LEASE_LIVE)
		return ERR_PTR(-ENODEV);
	/* Who was given a read-only buffer must not write to it by way of a device. */
	if (dir != DMA_TO_DEVICE && !(attachment->dmabuf->file->f_mode & FMODE_WRITE))
		return ERR_PTR(-EACCES);

	sgt = dma_buf_phys_vec_to_sgt(attachment, buf->provider, buf->ranges, buf->nr_ranges,
				      buf->size, dir);
	if (!IS_ERR(sgt))
		atomic_inc(&buf->mapped);
	return sgt;
}

static void lease_buffer_unmap(struct dma_buf_attachment *attachment, struct sg_table *sgt,
			       enum dma_data_direction dir)
{
	struct lease_buffer *buf = attachment->dmabuf->priv;

	dma_resv_assert_held(buf->dmabuf->resv);
	/*
	 * dma_buf_phys_vec_to_sgt() sets orig_nents to 0, for importers not to look for pages; by it
	 * sg_free_table() then frees nothing (7.3.4, found by kmemleak). nents is as allocated.
	 */
	sgt->orig_nents = sgt->nents;
	dma_buf_free_sgt(attachment, sgt, dir);
	if (atomic_dec_and_test(&buf->mapped))
		wake_up_all(&buf->wait);
}

static void lease_buffer_release(struct dma_buf *dmabuf)
{
	struct lease_buffer *buf = dmabuf->priv;
	struct lease_set *set = buf->set;

	mutex_lock(&set->lock);
	while (buf->pins) {
		mutex_unlock(&set->lock);
		wait_event(set->unpinned, !READ_ONCE(buf->pins));
		mutex_lock(&set->lock);
	}
	list_del(&buf->entry);
	mutex_unlock(&set->lock);

	iput(buf->inode);
	lease_set_put(set);
	kvfree(buf);
}

static const struct dma_buf_ops lease_dma_buf_ops = {
	LEASE_PIN_OPS
	.attach		= lease_buffer_attach,
	.map_dma_buf	= lease_buffer_map,
	.unmap_dma_buf	= lease_buffer_unmap,
	.mmap		= lease_buffer_mmap,
	.release	= lease_buffer_release,
};

/* Features */

/* Adds up the lengths of ranges; checks all that does not depend on the BAR. */
static int lease_ranges_size(const struct vfio_region_dma_range *ranges, u32 nr_ranges,
			     size_t *size)
{
	u32 i;

	*size = 0;
	for (i = 0; i < nr_ranges; i++)
		if (!ranges[i].length || !PAGE_ALIGNED(ranges[i].offset) ||
		    !PAGE_ALIGNED(ranges[i].length) ||
		    check_add_overflow(*size, ranges[i].length, size))
			return -EINVAL;
	/* A bit that the DMA API uses for itself, and warns about. */
	return (u64)*size & DMA_IOVA_USE_SWIOTLB ? -EINVAL : 0;
}

static struct lease_buffer *lease_buffer_create(struct lease_set *set, u32 region,
						struct vfio_region_dma_range *ranges,
						u32 nr_ranges)
{
	struct lease_buffer *buf;
	size_t size;
	int err;
	u32 i;

	err = lease_ranges_size(ranges, nr_ranges, &size);
	if (err)
		return ERR_PTR(err);
	buf = kvzalloc(struct_size(buf, ranges, nr_ranges), GFP_KERNEL_ACCOUNT);
	if (!buf)
		return ERR_PTR(-ENOMEM);

	buf->nr_ranges = nr_ranges;
	buf->size = size;
	INIT_LIST_HEAD(&buf->entry);
	init_rwsem(&buf->gate);
	init_waitqueue_head(&buf->wait);

	err = vfio_pci_core_get_dmabuf_phys(set->core, &buf->provider, region, buf->ranges, ranges,
					    nr_ranges);
	for (i = 0; !err && i < nr_ranges; i++)
		if (!PAGE_ALIGNED(buf->ranges[i].paddr))
			err = -EINVAL;
	if (err) {
		kvfree(buf);
		return ERR_PTR(err);
	}
	buf->vm_kind = lease_buffer_vm_kind(buf);
	return buf;
}

/* Makes a dma-buf of a buffer, which is the dma-buf's from then on, and puts it into the set. */
static struct dma_buf *lease_buffer_publish(struct lease_set *set, struct lease_buffer *buf,
					    u32 open_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.exp_name = KBUILD_MODNAME;
	info.ops = &lease_dma_buf_ops;
	info.size = buf->size;
	info.flags = open_flags;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		kvfree(buf);
		return dmabuf;
	}

	buf->dmabuf = dmabuf;
	buf->inode = file_inode(dmabuf->file);
	ihold(buf->inode);
	kref_get(&set->kref);
	buf->set = set;

	mutex_lock(&set->lock);
	buf->opened = set->opened;
	buf->state = set->state;
	list_add_tail(&buf->entry, &set->buffers);
	mutex_unlock(&set->lock);
	return dmabuf;
}

int lease_feature_export(struct lease_set *set, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_dma_buf __user *uarg = arg;
	struct vfio_device_feature_dma_buf what;
	struct vfio_region_dma_range *ranges;
	struct lease_buffer *buf;
	struct dma_buf *dmabuf;
	int ret;

	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(what));
	if (ret != 1)
		return ret;
	if (copy_from_user(&what, arg, sizeof(what)))
		return -EFAULT;
	if (!what.nr_ranges || what.flags)
		return -EINVAL;
	if (what.region_index >= VFIO_PCI_ROM_REGION_INDEX ||
	    !lease_bar_claimed(set->core, what.region_index))
		return -ENODEV;

	ranges = memdup_array_user(uarg->dma_ranges, what.nr_ranges, sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	buf = lease_buffer_create(set, what.region_index, ranges, what.nr_ranges);
	kfree(ranges);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	/* Memory may have come back by itself, as when the device woke up. */
	lease_set_settle(set);
	dmabuf = lease_buffer_publish(set, buf, what.open_flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = dma_buf_fd(dmabuf, what.open_flags);
	if (ret < 0)
		dma_buf_put(dmabuf);
	return ret;
}

/* A buffer of this device, by an fd of its dma-buf. Put back with dma_buf_put(buf->dmabuf). */
static struct lease_buffer *lease_buffer_get(struct lease_set *set, int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);
	struct lease_buffer *buf;

	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	buf = dmabuf->priv;
	/* The device is open, so neither number changes. */
	if (dmabuf->ops == &lease_dma_buf_ops && buf->set == set &&
	    buf->opened == set->opened)
		return buf;
	dma_buf_put(dmabuf);
	return ERR_PTR(-ENODEV);
}

/*
 * What the features about one buffer have in common; the data of each begins with the fd of the
 * dma-buf. 1: what is copied and the buffer is there, to be put back. Else the answer.
 */
static int lease_feature_begin(struct lease_set *set, u32 flags, u32 op, void __user *arg,
			       size_t argsz, void *what, size_t size, struct lease_buffer **buf)
{
	int ret = vfio_check_feature(flags, argsz, op, size);

	if (ret != 1)
		return ret;
	if (copy_from_user(what, arg, size))
		return -EFAULT;
	*buf = lease_buffer_get(set, *(s32 *)what);
	return IS_ERR(*buf) ? PTR_ERR(*buf) : 1;
}

int lease_feature_revoke(struct lease_set *set, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_bar_lease_revoke what;
	struct lease_buffer *buf;
	int ret;

	ret = lease_feature_begin(set, flags, VFIO_DEVICE_FEATURE_SET, arg, argsz, &what,
				  sizeof(what), &buf);
	if (ret != 1)
		return ret;

	/* All of it even if another thread has begun, or a signal has ended its wait. */
	ret = 0;
	if (!READ_ONCE(buf->drained)) {
		lease_buffer_set_state(buf, LEASE_REVOKED);
		lease_buffer_cut(buf, 0);
		ret = lease_buffer_drain(buf, TASK_INTERRUPTIBLE);
	}
	if (!ret && xchg(&buf->drained, true))
		ret = -EBADFD;
	dma_buf_put(buf->dmabuf);
	return ret;
}

int lease_feature_memattr(struct lease_set *set, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_bar_lease_memattr what;
	struct lease_buffer *buf;
	int ret;

	ret = lease_feature_begin(set, flags, VFIO_DEVICE_FEATURE_SET, arg, argsz, &what,
				  sizeof(what), &buf);
	if (ret != 1)
		return ret;

	ret = 0;
	if (what.memattr != VFIO_BAR_LEASE_MEMATTR_NC &&
	    what.memattr != VFIO_BAR_LEASE_MEMATTR_WC)
		ret = -ENOENT;
	else if (READ_ONCE(buf->state) == LEASE_REVOKED)
		ret = -EBADFD;
	else
		WRITE_ONCE(buf->memattr, what.memattr);
	dma_buf_put(buf->dmabuf);
	return ret;
}

static u32 lease_buffer_uapi_state(struct lease_buffer *buf)
{
	switch (READ_ONCE(buf->state)) {
	case LEASE_LIVE:
		return VFIO_BAR_LEASE_STATE_LIVE;
	case LEASE_REVOKED:
		return READ_ONCE(buf->drained) ? VFIO_BAR_LEASE_STATE_REVOKED :
						 VFIO_BAR_LEASE_STATE_REVOKING;
	default:
		return VFIO_BAR_LEASE_STATE_SUSPENDED;
	}
}

int lease_feature_state(struct lease_set *set, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_bar_lease_state what;
	struct lease_buffer *buf;
	int ret;

	ret = lease_feature_begin(set, flags, VFIO_DEVICE_FEATURE_GET, arg, argsz, &what,
				  sizeof(what), &buf);
	if (ret != 1)
		return ret;

	what.state = lease_buffer_uapi_state(buf);
	dma_buf_put(buf->dmabuf);
	return copy_to_user(arg, &what, sizeof(what)) ? -EFAULT : 0;
}
