// SPDX-License-Identifier: GPL-2.0-only
/*
 * An importer of dma-bufs for the lab: stands for the drivers of hardware that QEMU does not have (RDMA, GPUs). Drives QEMU's "edu" device, which
 * has a DMA engine, so that what an importer can reach is seen and not believed. For tests only: root decides what it does, and a device that is
 * unplugged while files are open is not provided for.
 *
 * Locks, outer first: file->lock, the buffer's reservation lock. file->lock serialises the calls of one file and protects the attachment; the
 * reservation lock protects the mapping, since the exporter holds it when it tells of an invalidation, and no callback may wait for file->lock.
 * dma_buf_unmap_attachment() wants the reservation lock held, so that a callback may unmap at once.
 */
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "barbroker_importer.h"

/* QEMU's docs/specs/edu.rst */
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		BIT(0)
#define EDU_DMA_FROM_DEVICE	BIT(1)
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096
#define EDU_DMA_BITS		36

struct importer {
	struct pci_dev *pdev;
	void __iomem *registers;
	struct mutex engine;
	void *bounce;
	dma_addr_t bounce_address;
};

struct importer_file {
	struct mutex lock;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attachment;
	struct delayed_work late;

	/* Under the reservation lock of dmabuf. */
	struct sg_table *mapping;
	struct barbroker_importer_mode mode;
	struct barbroker_importer_status status;
};

/* Set by the first probe, before the character device appears. */
static struct importer *importer;

static void importer_unmap_locked(struct importer_file *file)
{
	dma_resv_assert_held(file->dmabuf->resv);
	if (!file->mapping)
		return;
	dma_buf_unmap_attachment(file->attachment, file->mapping, DMA_BIDIRECTIONAL);
	file->mapping = NULL;
}

static void importer_unmap(struct importer_file *file)
{
	dma_resv_lock(file->dmabuf->resv, NULL);
	importer_unmap_locked(file);
	dma_resv_unlock(file->dmabuf->resv);
}

static void importer_late(struct work_struct *work)
{
	importer_unmap(container_of(work, struct importer_file, late.work));
}

static void importer_invalidate(struct dma_buf_attachment *attachment)
{
	struct importer_file *file = attachment->importer_priv;

	dma_resv_assert_held(attachment->dmabuf->resv);
	file->status.told++;
	if (!file->mapping)
		return;
	switch (file->mode.mode) {
	case BARBROKER_IMPORTER_AT_ONCE:
		importer_unmap_locked(file);
		break;
	case BARBROKER_IMPORTER_LATE:
		schedule_delayed_work(&file->late, msecs_to_jiffies(file->mode.delay_ms));
		break;
	}
}

/* By the flags of ATTACH. */
static const struct dma_buf_attach_ops importer_ops[] = {
	{ .allow_peer2peer = true, .invalidate_mappings = importer_invalidate },
	{ .allow_peer2peer = false, .invalidate_mappings = importer_invalidate },
	{ .allow_peer2peer = true },
	{ .allow_peer2peer = false },
};

static long importer_attach(struct importer_file *file, void __user *user)
{
	struct barbroker_importer_attach attach;
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;

	if (copy_from_user(&attach, user, sizeof(attach)))
		return -EFAULT;
	if (attach.flags >= ARRAY_SIZE(importer_ops))
		return -EINVAL;
	if (file->dmabuf)
		return -EBUSY;
	dmabuf = dma_buf_get(attach.dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	/* From here on the exporter may call back, which finds no mapping. */
	memset(&file->status, 0, sizeof(file->status));
	attachment = dma_buf_dynamic_attach(dmabuf, &importer->pdev->dev, &importer_ops[attach.flags], file);
	if (IS_ERR(attachment)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(attachment);
	}
	file->dmabuf = dmabuf;
	file->attachment = attachment;
	return 0;
}

static void importer_detach(struct importer_file *file)
{
	if (!file->dmabuf)
		return;
	/* The work finds nothing mapped when it runs after this, and none is queued for a mapping that is not there. */
	importer_unmap(file);
	cancel_delayed_work_sync(&file->late);
	dma_buf_detach(file->dmabuf, file->attachment);
	dma_buf_put(file->dmabuf);
	file->dmabuf = NULL;
	file->attachment = NULL;
}

static long importer_map_locked(struct importer_file *file)
{
	struct sg_table *mapping;
	struct scatterlist *segment;
	unsigned int i;
	long ret;

	/* What the dma-buf layer asks of importers that are told of moves. */
	ret = dma_resv_wait_timeout(file->dmabuf->resv, DMA_RESV_USAGE_KERNEL, true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;
	mapping = dma_buf_map_attachment(file->attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(mapping))
		return PTR_ERR(mapping);
	file->mapping = mapping;
	file->status.segments = mapping->nents;
	file->status.address = sg_dma_address(mapping->sgl);
	file->status.length = 0;
	for_each_sgtable_dma_sg(mapping, segment, i)
		file->status.length += sg_dma_len(segment);
	return 0;
}

static long importer_map(struct importer_file *file)
{
	bool mapped;
	long ret;

	dma_resv_lock(file->dmabuf->resv, NULL);
	mapped = file->mapping;
	dma_resv_unlock(file->dmabuf->resv);
	if (mapped)
		return -EBUSY;
	/* Work that an earlier mapping has left behind must not end this one. */
	cancel_delayed_work_sync(&file->late);
	ret = dma_resv_lock_interruptible(file->dmabuf->resv, NULL);
	if (ret)
		return ret;
	ret = importer_map_locked(file);
	dma_resv_unlock(file->dmabuf->resv);
	return ret;
}

static long importer_mode(struct importer_file *file, void __user *user)
{
	struct barbroker_importer_mode mode;

	if (copy_from_user(&mode, user, sizeof(mode)))
		return -EFAULT;
	if (mode.mode > BARBROKER_IMPORTER_HOLD)
		return -EINVAL;
	dma_resv_lock(file->dmabuf->resv, NULL);
	file->mode = mode;
	dma_resv_unlock(file->dmabuf->resv);
	return 0;
}

static long importer_status(struct importer_file *file, void __user *user)
{
	struct barbroker_importer_status status = {};

	if (file->dmabuf) {
		dma_resv_lock(file->dmabuf->resv, NULL);
		status = file->status;
		status.mapped = !!file->mapping;
		dma_resv_unlock(file->dmabuf->resv);
		status.attached = 1;
	}
	return copy_to_user(user, &status, sizeof(status)) ? -EFAULT : 0;
}

/* Where in the mapping's DMA addresses the offset is, with all of the length in one segment; 0 when it is nowhere. */
static dma_addr_t importer_find(struct importer_file *file, u64 offset, u32 length)
{
	struct scatterlist *segment;
	unsigned int i;

	for_each_sgtable_dma_sg(file->mapping, segment, i) {
		if (offset < sg_dma_len(segment))
			return length <= sg_dma_len(segment) - offset ? sg_dma_address(segment) + offset : 0;
		offset -= sg_dma_len(segment);
	}
	return 0;
}

static int importer_run_engine(u64 source, u64 destination, u32 length, u64 command)
{
	void __iomem *registers = importer->registers;
	u64 value;

	writeq(source, registers + EDU_DMA_SOURCE);
	writeq(destination, registers + EDU_DMA_DESTINATION);
	writeq(length, registers + EDU_DMA_COUNT);
	writeq(command | EDU_DMA_START, registers + EDU_DMA_COMMAND);
	/* QEMU lets it take 100 ms. */
	return readq_poll_timeout(registers + EDU_DMA_COMMAND, value, !(value & EDU_DMA_START), 2000, 10 * USEC_PER_SEC);
}

static int importer_transfer(dma_addr_t address, u32 length, bool to_buffer)
{
	dma_addr_t source = to_buffer ? importer->bounce_address : address;
	dma_addr_t destination = to_buffer ? address : importer->bounce_address;
	int ret;

	ret = importer_run_engine(source, EDU_BUFFER, length, 0);
	return ret ?: importer_run_engine(EDU_BUFFER, destination, length, EDU_DMA_FROM_DEVICE);
}

/* The reservation lock is not held while the engine runs: a driver's device does not know of it either. */
static long importer_dma(struct importer_file *file, void __user *user)
{
	struct barbroker_importer_dma dma;
	dma_addr_t address = 0;
	bool to_buffer;
	void __user *data;
	long ret;

	if (copy_from_user(&dma, user, sizeof(dma)))
		return -EFAULT;
	if (!dma.length || dma.length > EDU_BUFFER_SIZE || dma.flags & ~(BARBROKER_IMPORTER_TO_BUFFER | BARBROKER_IMPORTER_STALE))
		return -EINVAL;
	to_buffer = dma.flags & BARBROKER_IMPORTER_TO_BUFFER;
	data = u64_to_user_ptr(dma.user);

	dma_resv_lock(file->dmabuf->resv, NULL);
	if (dma.flags & BARBROKER_IMPORTER_STALE)
		address = file->status.address + dma.offset;
	else if (file->mapping)
		address = importer_find(file, dma.offset, dma.length);
	ret = address ? 0 : file->mapping ? -ERANGE : -ENOTCONN;
	dma_resv_unlock(file->dmabuf->resv);
	if (ret)
		return ret;

	mutex_lock(&importer->engine);
	if (to_buffer && copy_from_user(importer->bounce, data, dma.length))
		ret = -EFAULT;
	ret = ret ?: importer_transfer(address, dma.length, to_buffer);
	if (!ret && !to_buffer && copy_to_user(data, importer->bounce, dma.length))
		ret = -EFAULT;
	mutex_unlock(&importer->engine);
	return ret;
}

static long importer_dispatch(struct importer_file *file, unsigned int command, void __user *user)
{
	if (command == BARBROKER_IMPORTER_ATTACH)
		return importer_attach(file, user);
	if (command == BARBROKER_IMPORTER_STATUS)
		return importer_status(file, user);
	if (!file->dmabuf)
		return -ENOTCONN;
	switch (command) {
	case BARBROKER_IMPORTER_DETACH:
		importer_detach(file);
		return 0;
	case BARBROKER_IMPORTER_MAP:
		return importer_map(file);
	case BARBROKER_IMPORTER_UNMAP:
		importer_unmap(file);
		return 0;
	case BARBROKER_IMPORTER_MODE:
		return importer_mode(file, user);
	case BARBROKER_IMPORTER_DMA:
		return importer_dma(file, user);
	}
	return -ENOTTY;
}

static long importer_ioctl(struct file *filp, unsigned int command, unsigned long argument)
{
	struct importer_file *file = filp->private_data;
	long ret;

	if (mutex_lock_interruptible(&file->lock))
		return -ERESTARTSYS;
	ret = importer_dispatch(file, command, (void __user *)argument);
	mutex_unlock(&file->lock);
	return ret;
}

static int importer_open(struct inode *inode, struct file *filp)
{
	struct importer_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	INIT_DELAYED_WORK(&file->late, importer_late);
	filp->private_data = file;
	return 0;
}

static int importer_release(struct inode *inode, struct file *filp)
{
	struct importer_file *file = filp->private_data;

	importer_detach(file);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "barbroker-importer",
	.fops = &importer_fops,
	.mode = 0600,
};

static int importer_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct importer *self;
	int ret;

	if (importer)
		return -EBUSY;
	self = devm_kzalloc(&pdev->dev, sizeof(*self), GFP_KERNEL);
	if (!self)
		return -ENOMEM;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	self->registers = pcim_iomap_region(pdev, 0, KBUILD_MODNAME);
	if (IS_ERR(self->registers))
		return PTR_ERR(self->registers);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (ret)
		return ret;
	self->bounce = dmam_alloc_coherent(&pdev->dev, EDU_BUFFER_SIZE, &self->bounce_address, GFP_KERNEL);
	if (!self->bounce)
		return -ENOMEM;
	ret = devm_mutex_init(&pdev->dev, &self->engine);
	if (ret)
		return ret;
	pci_set_master(pdev);
	self->pdev = pdev;
	importer = self;
	ret = misc_register(&importer_misc);
	if (ret)
		importer = NULL;
	return ret;
}

static void importer_remove(struct pci_dev *pdev)
{
	misc_deregister(&importer_misc);
	pci_clear_master(pdev);
	importer = NULL;
}

/* No ids: it takes only what driver_override gives it. Unbinding under open files is not provided for; those hold the module. */
static struct pci_driver importer_driver = {
	.name = "barbroker-importer",
	.probe = importer_probe,
	.remove = importer_remove,
	.driver = { .suppress_bind_attrs = true },
};
module_pci_driver(importer_driver);

MODULE_IMPORT_NS("DMA_BUF");
MODULE_DESCRIPTION("A dma-buf importer for tests");
MODULE_LICENSE("GPL");
