// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>How often something happened in the histories. What never happens is not tested, however many steps there are.</summary>
internal sealed class Tally
{
    private readonly Dictionary<Enum, long> _counts = [];

    /// <summary>What there is to happen: every state, reason, refusal, operation, and what <see cref="Deed"/> names.</summary>
    public static IEnumerable<Enum> Everything { get; } =
    [
        .. Enum.GetValues<LeaseState>().Cast<Enum>(),
        // What a broker finds when it starts is no matter of the lease book.
        .. Enum.GetValues<EndReason>().Where(static r => r != EndReason.BrokerRestart).Cast<Enum>(),
        LeaseError.NoRoom, LeaseError.Quota, LeaseError.Denied, LeaseError.Unavailable,
        .. Enum.GetValues<OperationKind>().Cast<Enum>(),
        .. Enum.GetValues<Deed>().Cast<Enum>(),
    ];

    public IEnumerable<Enum> Missing => Everything.Where(e => !_counts.ContainsKey(e));

    public void Count(Enum what) => _counts[what] = _counts.GetValueOrDefault(what) + 1;

    public override string ToString() => string.Join(", ", Everything.Select(e => $"{e} {_counts.GetValueOrDefault(e)}"));
}
