// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Pools;

/// <summary>Slots of one size, one every <paramref name="Stride"/> bytes. Buffers with slots of one pool have the same slots: slot 3 is slot 3 of each.</summary>
internal sealed record SlotBuffer(int Bar, ulong Offset, ulong Size, ulong Stride) : PoolBuffer(Bar, Offset)
{
    public BarRange this[int slot] => new(Offset + ((ulong)slot * Stride), Size);

    public int IndexOf(BarRange range) => (int)((range.Offset - Offset) / Stride);

    public override RangeRun RunIn(ulong barSize)
    {
        ulong count = Offset >= barSize || Size > barSize - Offset ? 0 : ((barSize - Offset - Size) / Stride) + 1;
        return new RangeRun(Bar, this[0], Stride, (int)Math.Min(count, Pool.MaxSlots));
    }

    public override bool IsMultipleOf(ulong pageSize) => (Offset | Size | Stride) % pageSize == 0;
}
