// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Devices;

/// <summary>What an open device may have to say of itself.</summary>
internal enum DeviceSignal
{
    /// <summary>The kernel wants the device back and waits until it is closed: it is being unbound or unplugged. What was exported works until then.</summary>
    Requested,

    /// <summary>The device reported an error that cannot be corrected. What was exported must be treated as lost.</summary>
    Failed,

    /// <summary>The device is gone, and with it what was exported.</summary>
    Vanished,
}
