// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>What is reset. The numbers are those of the wire.</summary>
internal enum ResetWay
{
    /// <summary>Nothing: it cannot be reset alone.</summary>
    None = 1,

    /// <summary>The function.</summary>
    Function = 2,

    /// <summary>The slot or bus, on which the function is alone.</summary>
    Bus = 3,
}
