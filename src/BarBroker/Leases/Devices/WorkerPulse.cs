// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What became of the question whether a device's thread is there.</summary>
internal enum WorkerPulse
{
    /// <summary>It came by since.</summary>
    Answered,

    /// <summary>It is in a call of its device, and has been since before it was asked.</summary>
    InCall,

    /// <summary>It is in no call, and does not come.</summary>
    Silent,
}
