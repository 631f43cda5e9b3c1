// SPDX-License-Identifier: Apache-2.0

using BarBroker.Policy;

namespace BarBroker.Cli.Output;

/// <summary>What would be granted; times are seconds, sizes bytes, and null is no limit.</summary>
/// <param name="Devices">Those of the configuration that are allowed.</param>
internal sealed record TermsDocument(
    IReadOnlyList<string> Devices,
    double TtlSeconds,
    double? HangLimitSeconds,
    double? MaxLifetimeSeconds,
    double RecallGraceSeconds,
    int Leases,
    ulong? Bytes,
    int? Waiting,
    int? AcquiresPerSecond,
    int? AcquireBurst,
    int Priority,
    bool MayPreempt)
{
    public static TermsDocument From(LeaseTerms terms, IEnumerable<string> devices) => new(
        [.. devices.Where(terms.AllowsDevice)],
        terms.Ttl.TotalSeconds,
        terms.HangLimit?.TotalSeconds,
        terms.MaxLifetime?.TotalSeconds,
        terms.RecallGrace.TotalSeconds,
        terms.MaxLeases,
        terms.MaxBytes == ulong.MaxValue ? null : terms.MaxBytes,
        terms.MaxWaiting,
        terms.Rate?.PerSecond,
        terms.Rate?.Burst,
        terms.Priority,
        terms.MayPreempt);
}
