// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Vfio.Interop;

namespace BarBroker.Linux.Vfio;

/// <summary>The two directions of a device feature.</summary>
public enum VfioFeatureUse
{
    Get = (int)VfioConstants.VFIO_DEVICE_FEATURE_GET,
    Set = (int)VfioConstants.VFIO_DEVICE_FEATURE_SET,
}
