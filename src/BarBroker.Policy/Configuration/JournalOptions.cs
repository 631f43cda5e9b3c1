// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>What the broker remembers, and for how long.</summary>
internal sealed record JournalOptions
{
    public bool Enabled { get; init; } = true;

    /// <summary>Older entries are forgotten.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromHours(720);

    /// <summary>Of the file; the oldest entries are forgotten first.</summary>
    public ulong MaxBytes { get; init; } = 256ul << 20;
}
