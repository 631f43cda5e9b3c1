// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Configuration;

/// <summary>The <c>pools</c> of the configuration file.</summary>
internal static class PoolReader
{
    private const ulong PageSize = 4096;
    private const ulong LargestBar = 1ul << 40;

    /// <summary>As many as a lease may have.</summary>
    private const int MaxBuffers = 8;

    /// <summary>Of a device whose BARs only its opening tells: as large as can be, so that what overlaps does.</summary>
    private static readonly ImmutableArray<BarDescription> UnknownBars = [.. Enumerable.Range(0, 6).Select(static index => new BarDescription(index, LargestBar))];

    /// <param name="devices">What the file says of them.</param>
    public static ImmutableArray<Pool> Read(ObjectReader file, ImmutableArray<DeviceEntry> devices)
    {
        var pools = ImmutableArray.CreateBuilder<Pool>();
        foreach (var pool in file.Objects("pools"))
        {
            var read = Pool(pool);
            if (read.Name.Length > 0 && pools.Any(other => other.Name == read.Name))
            {
                pool.Fault("name", $"\"{read.Name}\" is the name of an earlier pool");
            }

            if (!devices.IsEmpty && !devices.Any(device => read.Covers(device.Name)))
            {
                pool.Fault("devices", "none of the devices in this file is meant");
            }

            foreach (var device in devices.Where(device => read.Covers(device.Name)))
            {
                if (!CheckOn(pool, read, device, pools))
                {
                    break;
                }
            }

            pools.Add(read);
        }

        return pools.ToImmutable();
    }

    private static Pool Pool(ObjectReader pool)
    {
        string name = pool.RequiredText("name");
        if (name.Length > 0 && !DeviceEntryReader.IsName(name))
        {
            pool.Fault("name", $"\"{name}\" is no name: 1 to 63 letters, digits, . _ -, the first one a letter or digit");
        }

        var devices = pool.Globs("devices", "a device");
        var buffers = ImmutableArray.CreateBuilder<PoolBuffer>();
        foreach (var buffer in pool.Objects("buffers"))
        {
            buffers.Add(Buffer(buffer));
            buffer.Finish();
        }

        if (buffers.Count is 0 or > MaxBuffers)
        {
            pool.Fault("buffers", $"a pool has 1 to {MaxBuffers} buffers, such as {{ \"bar\": 0, \"size\": \"4KiB\" }}, not {buffers.Count}");
        }

        int? count = pool.Number("count", 1, Pools.Pool.MaxSlots);
        if (count is not null && !buffers.Any(static buffer => buffer is SlotBuffer))
        {
            pool.Fault("count", "goes with slots, which are buffers with a size");
        }

        var read = new Pool(name, devices.IsEmpty ? ["*"] : devices, buffers.ToImmutable(), count, Scrub(pool));
        pool.Finish();
        return read;
    }

    private static PoolBuffer Buffer(ObjectReader buffer)
    {
        int bar = buffer.Number("bar", 0, 0, 5);
        ulong offset = buffer.Size("offset", 0, 0, LargestBar);
        Multiple(buffer, "offset", offset, PageSize, "the page size");
        bool isWindow = buffer.Has("length") || buffer.Has("granularity") || buffer.Has("alignment") || buffer.Has("allowSplit");
        if (isWindow && (buffer.Has("size") || buffer.Has("stride")))
        {
            buffer.Fault("size", "has either slots (size, stride) or a window of which requests say how much they want (length, granularity, alignment, allowSplit), not both");
        }

        if (buffer.Has("size") || !isWindow)
        {
            if (!buffer.Has("size"))
            {
                buffer.Fault("size", "is missing: that of a slot; or give granularity, for memory of which requests say how much they want");
            }

            ulong size = buffer.Size("size", PageSize, PageSize, LargestBar);
            ulong stride = buffer.Size("stride", size, PageSize, LargestBar);
            Multiple(buffer, "size", size, PageSize, "the page size");
            Multiple(buffer, "stride", stride, PageSize, "the page size");
            if (stride < size)
            {
                buffer.Fault("stride", $"{Quantity.Format(stride)} is less than size ({Quantity.Format(size)}): the slots would overlap");
            }

            return new SlotBuffer(bar, offset, size, Math.Max(stride, size));
        }

        return Window(buffer, bar, offset);
    }

    private static WindowBuffer Window(ObjectReader buffer, int bar, ulong offset)
    {
        ulong granularity = buffer.Size("granularity", PageSize, PageSize, LargestBar);
        ulong alignment = buffer.Size("alignment", granularity, PageSize, LargestBar);
        ulong? length = buffer.Size("length", PageSize, LargestBar);
        foreach (var (key, value) in new[] { ("granularity", granularity), ("alignment", alignment) })
        {
            if (!BitOperations.IsPow2(value))
            {
                buffer.Fault(key, $"{Quantity.Format(value)} is no power of two");
            }
        }

        Multiple(buffer, "offset", offset, granularity, "granularity");
        Multiple(buffer, "length", length ?? 0, granularity, "granularity");
        return new WindowBuffer(bar, offset, length, granularity, Math.Max(alignment, granularity), buffer.Flag("allowSplit", true));
    }

    private static void Multiple(ObjectReader buffer, string key, ulong value, ulong of, string what)
    {
        if (value % of != 0)
        {
            buffer.Fault(key, $"{Quantity.Format(value)} is no multiple of {what}, {Quantity.Format(of)}");
        }
    }

    private static uint? Scrub(ObjectReader pool)
    {
        if (pool.Text("scrub") is not { Length: > 0 } text || text == "none")
        {
            return null;
        }

        if (text.StartsWith("0x", StringComparison.Ordinal) && text.Length == 10 && uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint pattern))
        {
            return pattern;
        }

        pool.Fault("scrub", $"\"{text}\" is no pattern of 32 bits, such as \"0x00000000\", nor \"none\"");
        return null;
    }

    /// <summary>False, and a fault, if on this device it does not fit, or overlaps with itself or an earlier pool.</summary>
    private static bool CheckOn(ObjectReader reader, Pool pool, DeviceEntry device, IEnumerable<Pool> earlier)
    {
        var bars = device is SimulatedDeviceEntry simulated ? simulated.Bars : UnknownBars;
        var fit = pool.FitOn(bars, PageSize);
        if (!fit.IsServed)
        {
            reader.Fault("buffers", $"device {device.Name} cannot serve it: {fit.Fault}");
            return false;
        }

        for (int i = 0; i < fit.Runs.Length; i++)
        {
            for (int j = 0; j < i; j++)
            {
                if (fit.Runs[i].FindCommon(fit.Runs[j]) is { } range)
                {
                    reader.Fault("buffers", $"buffers {j} and {i} overlap, at {range} of BAR {fit.Runs[i].Bar} of {device.Name}; give a count, or other offsets or strides");
                    return false;
                }
            }
        }

        foreach (var other in earlier.Where(other => other.Covers(device.Name)).Select(other => other.FitOn(bars, PageSize)))
        {
            foreach (var run in fit.Runs)
            {
                if (other.Runs.Select(theirs => run.FindCommon(theirs)).FirstOrDefault(static range => range is not null) is { } range)
                {
                    reader.Fault("buffers", $"overlaps with pool {other.Pool.Name}, at {range} of BAR {run.Bar} of {device.Name}; give a count, or other devices, offsets or lengths");
                    return false;
                }
            }
        }

        return true;
    }
}
