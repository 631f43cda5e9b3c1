// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-bar-lease: vfio-pci, with dma-bufs of BARs that can be mapped and revoked one by one. This
 * file is the driver: all that takes memory away from a device passes through here. What that
 * does to buffers is in vfio_bar_lease_buffer.c.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>

#include "vfio_bar_lease_priv.h"

struct lease_device {
	struct vfio_pci_core_device core;	/* first: vfio frees what it points to */
	struct lease_set *set;
};

static struct lease_device *to_lease_device(struct vfio_device *vdev)
{
	return container_of(vdev, struct lease_device, core.vdev);
}

static struct lease_set *pdev_to_set(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	return container_of(core, struct lease_device, core)->set;
}

static int lease_init(struct vfio_device *vdev)
{
	struct lease_device *dev = to_lease_device(vdev);
	int err;

	dev->set = lease_set_create(&dev->core);
	if (!dev->set)
		return -ENOMEM;
	err = vfio_pci_core_init_dev(vdev);
	if (err)
		lease_set_put(dev->set);
	return err;
}

static void lease_release(struct vfio_device *vdev)
{
	lease_set_put(to_lease_device(vdev)->set);
	vfio_pci_core_release_dev(vdev);
}

static int lease_open(struct vfio_device *vdev)
{
	struct lease_device *dev = to_lease_device(vdev);
	int err;

	err = vfio_pci_core_enable(&dev->core);
	if (err)
		return err;
	vfio_pci_core_finish_enable(&dev->core);
	lease_set_open(dev->set);
	return 0;
}

static void lease_close(struct vfio_device *vdev)
{
	/*
	 * First: the core disables the device, and whoever opens it next must not share it with
	 * who had it before.
	 */
	lease_set_close(to_lease_device(vdev)->set);
	vfio_pci_core_close_device(vdev);
}

static long lease_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	long ret = vfio_pci_core_ioctl(vdev, cmd, arg);

	/*
	 * The core goes to D0 for these, and stays there even if it gets no reset for our hooks
	 * to see.
	 */
	if (cmd == VFIO_DEVICE_RESET || cmd == VFIO_DEVICE_PCI_HOT_RESET)
		lease_set_settle(to_lease_device(vdev)->set);
	return ret;
}

static int lease_device_feature(struct vfio_device *vdev, u32 flags, void __user *arg,
				size_t argsz)
{
	struct lease_set *set = to_lease_device(vdev)->set;
	int ret;

	switch (flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_DMA_BUF:
		return lease_feature_export(set, flags, arg, argsz);
	case VFIO_BAR_LEASE_FEATURE_REVOKE:
		return lease_feature_revoke(set, flags, arg, argsz);
	case VFIO_BAR_LEASE_FEATURE_MEMATTR:
		return lease_feature_memattr(set, flags, arg, argsz);
	case VFIO_BAR_LEASE_FEATURE_STATE:
		return lease_feature_state(set, flags, arg, argsz);
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		if (flags & VFIO_DEVICE_FEATURE_PROBE)
			break;
		ret = lease_set_hold(set);
		if (ret)
			return ret;
		ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
		lease_set_unhold(set);
		return ret;
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
		lease_set_settle(set);
		return ret;
	}
	return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
}

/*
 * Whether a write to config space covers a register's lowest byte: 0, 1 and its new value, or
 * -EFAULT.
 */
static int lease_config_byte(const char __user *from, size_t count, u64 offset, u64 pos,
			     u8 *value)
{
	if (pos < offset || pos - offset >= count)
		return 0;
	return get_user(*value, from + (pos - offset)) ? -EFAULT : 1;
}

/*
 * The registers by which memory goes away are the command register and the power state; FLR is a
 * reset, which has hooks. What user space is about to write is only looked at: it may be
 * something else by the time that the core copies it. So a write that looks harmless is not
 * believed, and what it did is looked at afterwards.
 */
static ssize_t lease_write_config(struct lease_device *dev, const char __user *from, size_t count,
				  loff_t *ppos)
{
	int pm_cap = dev->core.pdev->pm_cap;
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u8 command = PCI_COMMAND_MEMORY, power = 0;
	int command_written, power_written = 0;
	bool hold;
	ssize_t ret;

	command_written = lease_config_byte(from, count, offset, PCI_COMMAND, &command);
	if (pm_cap)
		power_written = lease_config_byte(from, count, offset, pm_cap + PCI_PM_CTRL,
						  &power);
	if (command_written < 0 || power_written < 0)
		return -EFAULT;

	hold = !(command & PCI_COMMAND_MEMORY) || (power & PCI_PM_CTRL_STATE_MASK);
	if (hold) {
		ret = lease_set_hold(dev->set);
		if (ret)
			return ret;
	}
	ret = vfio_pci_core_write(&dev->core.vdev, from, count, ppos);
	if (hold)
		lease_set_unhold(dev->set);
	else if (command_written || power_written)
		lease_set_settle(dev->set);
	return ret;
}

static ssize_t lease_write(struct vfio_device *vdev, const char __user *from, size_t count,
			   loff_t *ppos)
{
	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) == VFIO_PCI_CONFIG_REGION_INDEX)
		return lease_write_config(to_lease_device(vdev), from, count, ppos);
	return vfio_pci_core_write(vdev, from, count, ppos);
}

static const struct vfio_device_ops lease_vfio_ops = {
	.name			= "vfio-bar-lease",
	.init			= lease_init,
	.release		= lease_release,
	.open_device		= lease_open,
	.close_device		= lease_close,
	.ioctl			= lease_ioctl,
	.get_region_info_caps	= vfio_pci_ioctl_get_region_info,
	.device_feature		= lease_device_feature,
	.read			= vfio_pci_core_read,
	.write			= lease_write,
	.mmap			= vfio_pci_core_mmap,
	.request		= vfio_pci_core_request,
	.match			= vfio_pci_core_match,
	.match_token_uuid	= vfio_pci_core_match_token_uuid,
	.bind_iommufd		= vfio_iommufd_physical_bind,
	.unbind_iommufd		= vfio_iommufd_physical_unbind,
	.attach_ioas		= vfio_iommufd_physical_attach_ioas,
	.detach_ioas		= vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas	= vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas	= vfio_iommufd_physical_pasid_detach_ioas,
};

static int lease_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct lease_device *dev;
	int err;

	dev = vfio_alloc_device(lease_device, core.vdev, &pdev->dev, &lease_vfio_ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev_set_drvdata(&pdev->dev, &dev->core);
	err = vfio_pci_core_register_device(&dev->core);
	if (err)
		vfio_put_device(&dev->core.vdev);
	return err;
}

static void lease_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

/*
 * The PCI core calls these two, with the device locked, around every reset of the function or of
 * its bus, whoever asked for it: VFIO_DEVICE_RESET, VFIO_DEVICE_PCI_HOT_RESET, a write to an FLR
 * bit, sysfs. The first three hold the core's memory_lock for write.
 */
static void lease_reset_prepare(struct pci_dev *pdev)
{
	if (lease_set_reset_begin(pdev_to_set(pdev)))
		pci_warn(pdev, "killed while waiting for an importer; resetting the device that it uses\n");
}

static void lease_reset_done(struct pci_dev *pdev)
{
	lease_set_reset_end(pdev_to_set(pdev));
}

static pci_ers_result_t lease_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	lease_set_error(pdev_to_set(pdev));
	return vfio_pci_core_aer_err_detected(pdev, state);
}

static void lease_error_resume(struct pci_dev *pdev)
{
	u16 command;

	/*
	 * A fatal error resets the link, and nobody has restored the device's config space: not
	 * recovered, before it is reset with VFIO_DEVICE_RESET or opened again.
	 */
	if (pci_read_config_word(pdev, PCI_COMMAND, &command) || PCI_POSSIBLE_ERROR(command))
		return;
	if (pdev->no_command_memory || (command & PCI_COMMAND_MEMORY))
		lease_set_recovered(pdev_to_set(pdev));
}

static const struct pci_error_handlers lease_error_handlers = {
	.error_detected	= lease_error_detected,
	.resume		= lease_error_resume,
	.reset_prepare	= lease_reset_prepare,
	.reset_done	= lease_reset_done,
};

static const struct pci_device_id lease_ids[] = {
	/* Only what driver_override gives to us. */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_ANY_ID, PCI_ANY_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, lease_ids);

static struct pci_driver lease_driver = {
	.name			= "vfio-bar-lease",
	.id_table		= lease_ids,
	.probe			= lease_probe,
	.remove			= lease_remove,
	.err_handler		= &lease_error_handlers,
	.driver_managed_dma	= true,
};
module_pci_driver(lease_driver);

MODULE_LICENSE("GPL");
MODULE_VERSION("1.0");
MODULE_AUTHOR("BAR Broker");
MODULE_DESCRIPTION("VFIO PCI devices whose BARs are leased out as dma-bufs, mappable and revocable one by one");
