// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>What becomes of leases when the broker is restarted.</summary>
internal enum RestartMode
{
    /// <summary>They go on, where somebody keeps the descriptors meanwhile; else they are revoked.</summary>
    Preserve,

    /// <summary>They are revoked.</summary>
    Revoke,
}
