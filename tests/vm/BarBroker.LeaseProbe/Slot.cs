// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.Client;

namespace BarBroker.LeaseProbe;

/// <summary>Takes a slot of a pool, says what was in it, leaves something of its own there and gives it back.</summary>
internal static class Slot
{
    private const int ChunkSize = 1 << 20;
    private const ulong Seed = 7;

    public static async Task<int> RunAsync(BrokerClient client, string pool, int? slot)
    {
        var watch = Stopwatch.StartNew();
        await using var lease = await client.AcquireAsync(LeaseRequest.FromPool(pool) with { Slot = slot, Ttl = TimeSpan.FromMinutes(10) });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{lease.Device} slot {lease.Slot} acquired in {watch.Elapsed.TotalMilliseconds:0.0} ms"));
        foreach (var buffer in lease.Buffers)
        {
            using var memory = buffer.Map();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"buffer of {buffer.Size} bytes at {string.Join(',', buffer.Ranges)}: {Content(memory)}"));
            var own = Pattern.Bytes(Seed, 0, (int)Math.Min(memory.Length, ChunkSize) / Pattern.WordSize);
            for (ulong at = 0; at < memory.Length; at += (ulong)own.Length)
            {
                memory.CopyFrom(at, own.AsSpan(0, (int)Math.Min((ulong)own.Length, memory.Length - at)));
            }
        }

        return 0;
    }

    /// <summary>The word that fills all of it, or how many words are another than the first.</summary>
    private static string Content(BufferMapping memory)
    {
        uint first = memory.Read32(0);
        long others = 0;
        var chunk = new byte[Math.Min(memory.Length, ChunkSize)];
        for (ulong at = 0; at < memory.Length; at += (ulong)chunk.Length)
        {
            memory.CopyTo(at, chunk);
            foreach (uint word in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(chunk.AsSpan()))
            {
                others += word == first ? 0 : 1;
            }
        }

        return others == 0 ? $"all 0x{first:x8}" : $"mixed, {others} words differ";
    }
}
