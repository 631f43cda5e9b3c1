// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Linux.Vfio.Interop;

/// <summary>Payload of the proposed <c>VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE</c>. In no released header yet.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VfioDeviceFeatureDmaBufRevoke
{
    public int DmabufFd;
}
