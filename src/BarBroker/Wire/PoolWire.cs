// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Pools;

namespace BarBroker.Wire;

/// <summary>Pools as messages; the same on every socket.</summary>
internal static class PoolWire
{
    /// <param name="mayBeSeen">Which devices are told of.</param>
    public static V1.Pool ToWire(this PoolInfo pool, Func<string, bool> mayBeSeen)
    {
        var message = new V1.Pool { Name = pool.Pool.Name, Scrub = pool.Pool.Scrub };
        message.Buffers.AddRange(pool.Pool.Buffers.Select(ToWire));
        message.Devices.AddRange(pool.Devices.Where(usage => mayBeSeen(usage.Device)).Select(ToWire));
        return message;
    }

    private static V1.PoolBuffer ToWire(PoolBuffer buffer)
    {
        var message = new V1.PoolBuffer { Bar = (uint)buffer.Bar, Offset = buffer.Offset };
        switch (buffer)
        {
            case SlotBuffer slots:
                message.Size = slots.Size;
                message.Stride = slots.Stride;
                break;
            case WindowBuffer window:
                message.Length = window.Length ?? 0;
                message.Granularity = window.Granularity;
                message.Alignment = window.Alignment;
                message.AllowSplit = window.AllowSplit;
                break;
        }

        return message;
    }

    private static V1.PoolUsage ToWire(PoolUsage usage)
    {
        var message = new V1.PoolUsage
        {
            Device = usage.Device,
            Fault = usage.Fault,
            Slots = (uint)usage.Slots,
            FreeSlots = (uint)usage.FreeSlots,
            LeasedSlots = (uint)usage.LeasedSlots,
            QuarantinedSlots = (uint)usage.QuarantinedSlots,
        };
        message.Windows.AddRange(usage.Windows.Select(DeviceWire.ToWire));
        return message;
    }
}
