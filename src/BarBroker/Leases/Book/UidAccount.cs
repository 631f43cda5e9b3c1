// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What a uid holds in leases that have not ended, and how many acquires of it wait.</summary>
internal sealed class UidAccount
{
    public int Leases { get; set; }

    public ulong Bytes { get; set; }

    public int Waiting { get; set; }
}
