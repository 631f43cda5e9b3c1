// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Rpc;

/// <summary>Counts leases as they come to their end.</summary>
internal sealed class EndingCount
{
    private int _total;
    private int _ended;
    private int _stuck;

    public V1.EndingProgress Begin(int total)
    {
        _total = total;
        return Make();
    }

    public V1.EndingProgress Add(LeaseInfo lease)
    {
        _ = lease.State == LeaseState.Stuck ? _stuck++ : _ended++;
        return Make();
    }

    private V1.EndingProgress Make() =>
        new() { Total = (uint)_total, Ended = (uint)_ended, Stuck = (uint)_stuck, Remaining = (uint)(_total - _ended - _stuck) };
}
