// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Memory;

/// <summary>Keeps a mapping, in which the range was found to lie, from being unmapped while it is used.</summary>
internal readonly ref struct HeldMapping
{
    private readonly Mapping _mapping;

    public HeldMapping(Mapping mapping, ulong offset, ulong length, ulong alignment = 1)
    {
        if (length > mapping.Length || offset > mapping.Length - length || offset % alignment != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"offset 0x{offset:x} with {length} bytes does not lie, aligned to {alignment}, in the mapping of {mapping.Length} bytes");
        }

        bool added = false;
        mapping.DangerousAddRef(ref added);
        _mapping = mapping;
    }

    public void Dispose() => _mapping.DangerousRelease();
}
