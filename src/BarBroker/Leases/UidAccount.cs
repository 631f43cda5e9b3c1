// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What a uid holds in leases that have not ended.</summary>
internal sealed class UidAccount
{
    public int Leases { get; set; }

    public ulong Bytes { get; set; }
}
