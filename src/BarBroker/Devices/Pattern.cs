// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Devices;

/// <summary>Bytes that repeat a word of 32 bits, little-endian as devices are.</summary>
internal static class Pattern
{
    /// <param name="length">A multiple of 4.</param>
    public static byte[] Of(uint word, int length)
    {
        byte[] bytes = new byte[length];
        MemoryMarshal.Cast<byte, uint>(bytes.AsSpan()).Fill(word);
        return bytes;
    }
}
