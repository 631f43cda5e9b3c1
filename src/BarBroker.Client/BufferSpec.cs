// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Client;

/// <summary>Memory asked for as one dmabuf: either exact ranges of a BAR, or so many bytes anywhere in it.</summary>
public sealed record BufferSpec
{
    private BufferSpec()
    {
    }

    /// <summary>BAR index, 0 to 5.</summary>
    public int Bar { get; private init; }

    /// <summary>Exactly these, in this order; empty when a size was asked for.</summary>
    public ImmutableArray<BarRange> Ranges { get; private init; } = [];

    /// <summary>Bytes asked for; 0 when ranges were.</summary>
    public ulong Size { get; private init; }

    /// <summary>The offset is a multiple of this, a power of two. 0: the page size.</summary>
    public ulong Alignment { get; private init; }

    /// <summary>Several smaller ranges will do where no single hole is large enough.</summary>
    public bool AllowSplit { get; private init; }

    /// <summary>Any range of this many bytes, a multiple of the page size.</summary>
    public static BufferSpec OfSize(ulong size, int bar = 0, ulong alignment = 0, bool allowSplit = false) =>
        new() { Bar = CheckedBar(bar), Size = size, Alignment = alignment, AllowSplit = allowSplit };

    /// <summary>Exactly these ranges, which follow each other in the buffer in the order given.</summary>
    public static BufferSpec OfRanges(int bar, params ReadOnlySpan<BarRange> ranges) => new() { Bar = CheckedBar(bar), Ranges = [.. ranges] };

    private static int CheckedBar(int bar)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bar);
        return bar;
    }

    internal V1.BufferRequest ToMessage()
    {
        var message = new V1.BufferRequest { Bar = (uint)Bar, Size = Size, Alignment = Alignment, AllowSplit = AllowSplit };
        foreach (var range in Ranges)
        {
            message.Ranges.Add(new V1.Range { Offset = range.Offset, Length = range.Length });
        }

        return message;
    }
}
