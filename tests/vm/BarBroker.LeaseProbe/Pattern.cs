// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.LeaseProbe;

/// <summary>The bytes that matrixhold (tests/vm/native) writes and looks for: one word for every place and seed.</summary>
internal static class Pattern
{
    public const int WordSize = sizeof(ulong);

    public static ulong Word(ulong seed, ulong index) => (seed << 40) ^ unchecked(index * 0x9e3779b97f4a7c15);

    public static byte[] Bytes(ulong seed, ulong first, int words)
    {
        var bytes = new byte[words * WordSize];
        for (int i = 0; i < words; i++)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i * WordSize), Word(seed, first + (ulong)i));
        }

        return bytes;
    }
}
