// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

/// <summary>What a caller of the operator socket may do.</summary>
[Flags]
internal enum OperatorRights
{
    None = 0,

    /// <summary>See the status, and everybody's leases and devices.</summary>
    Read = 1,

    /// <summary>End anybody's lease.</summary>
    Revoke = 2,

    /// <summary>Cordon, uncordon, drain and reset devices, which ends leases, too.</summary>
    Devices = 4,

    /// <summary>Have the configuration read again.</summary>
    Reload = 8,

    All = Read | Revoke | Devices | Reload,
}
