// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices.Vfio;

/// <summary>What may be configured as the number of a feature of VFIO_DEVICE_FEATURE.</summary>
internal static class VfioFeatureNumbers
{
    /// <summary>
    /// The numbers up to this one have a settled meaning that is neither revoke nor memory attribute (linux/vfio.h of 7.3), and some act on any SET:
    /// they are never tried.
    /// </summary>
    public const int LastSettled = 12;
}
