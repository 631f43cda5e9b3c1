// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Memory;

/// <summary>Accesses of an exact width, as registers need them.</summary>
public static class MappingAccess
{
    /// <summary>One load of four bytes, aligned. SIGBUS if the memory is gone.</summary>
    public static unsafe uint Read32(this Mapping mapping, ulong offset)
    {
        using var hold = new HeldMapping(mapping, offset, sizeof(uint), sizeof(uint));
        // SAFETY: hold checked range and alignment and keeps it mapped; the caller accepts SIGBUS.
        return Volatile.Read(ref *(uint*)((byte*)mapping.Address + offset));
    }

    /// <summary>One store of four bytes, aligned. SIGBUS if the memory is gone.</summary>
    public static unsafe void Write32(this Mapping mapping, ulong offset, uint value)
    {
        using var hold = new HeldMapping(mapping, offset, sizeof(uint), sizeof(uint));
        // SAFETY: hold checked range and alignment and keeps it mapped; the caller accepts SIGBUS.
        Volatile.Write(ref *(uint*)((byte*)mapping.Address + offset), value);
    }
}
