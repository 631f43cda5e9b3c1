// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Leases.Model;

/// <summary>What the model says a user's leases are granted on; times are milliseconds.</summary>
/// <param name="NotDevice">Not allowed; -1: all are.</param>
/// <param name="MinHang">Hang limits that are asked for are no shorter.</param>
/// <param name="MaxHang">Hang limits are no longer, and there is one; 0: none.</param>
/// <param name="Rule">Which rule says so.</param>
internal readonly record struct ModelTerms(string Rule, long Life, long Grace, int MaxLeases, int NotDevice = -1, bool SizedOnly = false, long MinHang = 1_000, long MaxHang = 0)
{
    public bool Refuses(int device, bool namesRanges) => device == NotDevice || (SizedOnly && namesRanges);

    public long HangOf(TimeSpan? asked) => asked is null && MaxHang == 0
        ? 0
        : Math.Clamp((long)(asked?.TotalMilliseconds ?? MaxHang), MinHang, MaxHang == 0 ? long.MaxValue : MaxHang);
}
