// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Vfio.Interop;

namespace BarBroker.Linux.Vfio;

/// <summary>What a PCI device's driver tells its user about, as interrupt indexes.</summary>
public enum VfioEvent
{
    /// <summary>The device reported an uncorrectable error.</summary>
    Error = (int)VfioConstants.VFIO_PCI_ERR_IRQ_INDEX,

    /// <summary>The kernel wants the device back and waits for it: it is being unbound or unplugged.</summary>
    Request = (int)VfioConstants.VFIO_PCI_REQ_IRQ_INDEX,
}
