// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Client;

namespace BarBroker.Demo;

/// <summary>
/// A client process: leases 256 KiB, or the exact range it is given, and counts in its first bytes for as long as it may. With <c>careful</c> it
/// touches the memory through copies that fail with an exception; else through a bare pointer, and a lost lease kills it.
/// </summary>
internal static class Worker
{
    public const ulong Size = 256 * 1024;

    public static async Task<int> RunAsync(string[] arguments)
    {
        bool careful = arguments[0] == "careful";
        var spec = arguments is [_, var offset, ..] ? BufferSpec.OfRanges(0, new BarRange(ulong.Parse(offset, CultureInfo.InvariantCulture), Size)) : BufferSpec.OfSize(Size);
        Signals.DieOfBusError();
        await using var broker = await BrokerClient.ConnectAsync();
        await using var lease = await broker.AcquireAsync(new LeaseRequest { Device = DemoBroker.Device, Buffers = [spec], Ttl = TimeSpan.FromSeconds(2) });
        using var memory = lease.Buffers[0].Map();
        Say($"leased {lease.Id} {lease.Buffers[0].Ranges[0].Offset} {Read(memory, careful)}");
        try
        {
            for (ulong count = 1; ; count++)
            {
                Write(memory, careful, count);
                Say($"wrote {Read(memory, careful)}");
                lease.Pulse();
                await Task.Delay(TimeSpan.FromMilliseconds(100));
            }
        }
        catch (LeaseLostException lost)
        {
            Say($"lost {lost.Reason}");
            return 0;
        }
    }

    private static unsafe ulong Read(BufferMapping memory, bool careful)
    {
        ulong value;
        if (careful)
        {
            memory.CopyTo(0, new Span<byte>(&value, sizeof(ulong)));
        }
        else
        {
            // SAFETY: the mapping is at least a page and lives longer than this call; a lost lease is a SIGBUS, as meant.
            value = Volatile.Read(ref *(ulong*)memory.Address);
        }

        return value;
    }

    private static unsafe void Write(BufferMapping memory, bool careful, ulong value)
    {
        if (careful)
        {
            memory.CopyFrom(0, new ReadOnlySpan<byte>(&value, sizeof(ulong)));
        }
        else
        {
            // SAFETY: as in Read.
            Volatile.Write(ref *(ulong*)memory.Address, value);
        }
    }

    private static void Say(string line) => Console.WriteLine(line);
}
