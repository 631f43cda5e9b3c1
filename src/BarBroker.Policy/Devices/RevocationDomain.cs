// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>What a device can take back.</summary>
internal enum RevocationDomain
{
    /// <summary>Nothing: not served.</summary>
    None,

    /// <summary>Everything at once, by closing it.</summary>
    Device,

    /// <summary>One buffer at a time, proven at open.</summary>
    Selective,
}
