// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Wire;

/// <summary>Devices as messages; the same on every socket.</summary>
internal static class DeviceWire
{
    public static V1.Device ToWire(this DeviceInfo device)
    {
        var message = new V1.Device
        {
            Name = device.Name,
            State = (V1.DeviceState)device.State,
            Detail = device.Detail,
            Leases = (uint)device.Leases,
            Generation = (uint)device.Generation,
            Waiting = (uint)device.Waiting,
        };
        message.Pools.AddRange(device.Pools);
        foreach (var bar in device.Bars)
        {
            message.Bars.Add(bar.ToWire());
        }

        foreach (var cordon in device.Cordons)
        {
            message.Cordons.Add(new V1.Cordon { Cause = (V1.CordonCause)cordon.Cause, Comment = cordon.Comment });
        }

        if (device.Description is { } description)
        {
            message.Kind = description.Kind;
            message.Address = description.Address;
            message.Driver = description.Driver;
            message.RevocationDomain = description.Domain.ToWire();
            message.PageSize = description.PageSize;
            message.MemoryAttributes.AddRange(description.MemoryAttributes.Select(LeaseWire.ToWire));
            message.Accesses.AddRange(description.Accesses.Select(LeaseWire.ToWire));
        }

        return message;
    }

    public static V1.Bar ToWire(this BarUsage usage) => new()
    {
        Index = (uint)usage.Bar,
        Size = usage.Size,
        Free = usage.Free,
        Leased = usage.Leased,
        Quarantined = usage.Quarantined,
        LargestFree = usage.LargestFree,
        Fragmentation = usage.Fragmentation,
        Pooled = usage.Pooled,
    };

    public static V1.Segment ToWire(this Segment segment)
    {
        var message = new V1.Segment { Bar = (uint)segment.Bar, Range = segment.Range.ToWire(), Use = (V1.Segment.Types.Use)segment.Use, Pool = segment.Pool };
        message.LeaseIds.AddRange(segment.LeaseIds);
        return message;
    }

    public static V1.RevocationDomain ToWire(this RevocationDomain domain) => domain switch
    {
        RevocationDomain.None => V1.RevocationDomain.None,
        RevocationDomain.Device => V1.RevocationDomain.Device,
        RevocationDomain.Selective => V1.RevocationDomain.Selective,
        _ => throw new ArgumentOutOfRangeException(nameof(domain), domain, null),
    };
}
