// SPDX-License-Identifier: Apache-2.0

using BarBroker.Policy;

namespace BarBroker.Leases;

/// <summary>What a uid holds in leases that have not ended, and how many acquires of it wait.</summary>
internal sealed class UidAccount
{
    public int Leases { get; set; }

    public ulong Bytes { get; set; }

    public int Waiting { get; set; }

    /// <summary>Whether the quota lets the uid have one more lease of so many bytes.</summary>
    /// <param name="account">Null: it has nothing.</param>
    /// <param name="promised">What is kept for waiters of the uid that come before.</param>
    public static bool Affords(UidAccount? account, ulong bytes, LeaseTerms terms, (int Leases, UInt128 Bytes) promised) =>
        (account?.Leases ?? 0) + promised.Leases < terms.MaxLeases && (account?.Bytes ?? 0) + promised.Bytes + bytes <= terms.MaxBytes;
}
