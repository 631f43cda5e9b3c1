// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Leases.Model;

/// <summary>What the model says a user's leases are granted on; times are milliseconds.</summary>
/// <param name="NotDevice">Not allowed; -1: all are.</param>
internal readonly record struct ModelTerms(long Life, long Grace, int MaxLeases, int NotDevice = -1, bool SizedOnly = false)
{
    public bool Refuses(int device, bool namesRanges) => device == NotDevice || (SizedOnly && namesRanges);
}
