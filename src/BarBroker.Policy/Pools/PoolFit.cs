// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Pools;

/// <summary>What a pool comes to on one device.</summary>
/// <param name="Slots">How many; 0 also for a pool without slots.</param>
/// <param name="Runs">Where each of its buffers is.</param>
/// <param name="Fault">Why the device does not serve the pool; empty if it does.</param>
internal sealed record PoolFit(Pool Pool, int Slots, ImmutableArray<RangeRun> Runs, string Fault)
{
    public bool IsServed => Fault.Length == 0;

    /// <summary>What is wrong with a request for this pool on the device; null if nothing is.</summary>
    public LeaseException? Check(AcquireRequest request, string device)
    {
        if (!IsServed)
            return new(LeaseError.Unsupported, $"device {device} does not serve pool {Pool.Name}: {Fault}") { Field = "pool", Device = device };
        if (request.Slot is { } slot && (slot < 0 || slot >= Slots))
            return new(LeaseError.Invalid, $"pool {Pool.Name} has slots 0 to {Slots - 1} on {device}, and no slot {slot}") { Field = "slot", Device = device };
        int slots = Pool.SlotBuffers;
        for (int i = slots; i < request.Buffers.Length; i++)
        {
            var run = Runs[Pool.Buffers.IndexOf(request.Buffers[i].Of!)];
            if (request.Buffers[i].Size > run.First.Length)
                return new(LeaseError.Invalid, $"pool {Pool.Name} has {ByteText.Of(run.First.Length)} of BAR {run.Bar} of {device}; 0x{request.Buffers[i].Size:x} bytes are more than that") { Field = $"buffers[{i - slots}].size", Device = device };
        }

        return null;
    }

    /// <summary>Why a range that was named without a pool is not to be had; null if this pool has nothing of it.</summary>
    public LeaseException? CheckNamed(int bar, BarRange range, string field, string device)
    {
        foreach (var run in Runs)
        {
            if (run.Bar == bar && run.FindIn(range) is { } index)
            {
                string what = run.Stride > 0 ? $"slot {index} of pool {Pool.Name}" : $"pool {Pool.Name}";
                return new(LeaseError.Denied, $"range {range} of BAR {bar} of {device} reaches into {what}, which has {run[index]}; ask for the pool instead of the range") { Field = field, Device = device };
            }
        }

        return null;
    }
}
