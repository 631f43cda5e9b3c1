// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using System.Net.Sockets;
using BarBroker.Client;
using BarBroker.Linux.Sockets;

namespace BarBroker.LeaseProbe;

/// <summary>
/// A client of the revocation matrix (tests/vm/guest/matrix.sh): has one lease mapped, shows a sign of life until it is told to be silent, and answers each line of
/// its standard input with one line:
/// <code>
/// fill SEED    writes every word: done
/// try SEED     has the kernel copy every page: live, or what the lease was lost by
/// touch        reads the first word: live, or the end of this process by SIGBUS
/// pass SOCKET  sends the descriptor there: passed
/// silent       no more signs of life: silent
/// release      gives the lease back: the state that the broker tells
/// quit
/// </code>
/// </summary>
internal sealed class Holder : IAsyncDisposable
{
    private const int PageSize = 4096;
    private static readonly TimeSpan _pulse = TimeSpan.FromMilliseconds(100);

    private readonly Lease _lease;
    private readonly BufferMapping _memory;
    private readonly Timer _life;

    private Holder(Lease lease)
    {
        _lease = lease;
        _memory = lease.Buffers[0].Map();
        _life = new Timer(_ => lease.Pulse(), null, TimeSpan.Zero, _pulse);
    }

    public static async Task<Holder> AcquireAsync(BrokerClient client, string device, int bar, TimeSpan ttl, ImmutableArray<BarRange> ranges)
    {
        var lease = await client.AcquireAsync(new LeaseRequest { Device = device, Buffers = [BufferSpec.OfRanges(bar, ranges.AsSpan())], Ttl = ttl });
        return new Holder(lease);
    }

    public async Task ObeyAsync()
    {
        Console.WriteLine($"ready {Environment.ProcessId}");
        while (Console.ReadLine() is { } line && line != "quit")
        {
            Console.WriteLine(await AnswerAsync(line.Split(' ')));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _life.DisposeAsync();
        _memory.Dispose();
        await _lease.DisposeAsync();
    }

    private async Task<string> AnswerAsync(string[] words)
    {
        switch (words)
        {
            case ["fill", var seed]:
                _memory.CopyFrom(0, Pattern.Bytes(Number(seed), 0, (int)_memory.Length / Pattern.WordSize));
                return "done";
            case ["try", var seed]:
                return Try(Number(seed));
            case ["touch"]:
                _ = _memory.Read32(0);
                return "live";
            case ["pass", var socket]:
                Pass(socket);
                return "passed";
            case ["silent"]:
                await _life.DisposeAsync();
                return "silent";
            case ["release"]:
                return (await _lease.ReleaseAsync()).ToString();
            default:
                return $"no request '{words[0]}'";
        }
    }

    private string Try(ulong seed)
    {
        try
        {
            var seen = new byte[PageSize];
            for (int page = 0; page < (int)_memory.Length / PageSize; page++)
            {
                _memory.CopyTo((ulong)page * PageSize, seen);
                if (!seen.AsSpan().SequenceEqual(Pattern.Bytes(seed, (ulong)page * PageSize / Pattern.WordSize, PageSize / Pattern.WordSize)))
                {
                    return $"broken: page {page} has other bytes";
                }
            }

            return "live";
        }
        catch (LeaseLostException exception) when (exception.Copied == 0)
        {
            return $"lost {exception.Reason}";
        }
    }

    private void Pass(string path)
    {
        using var socket = FdSocket.Create();
        socket.Connect(new UnixDomainSocketEndPoint(path));
        if (!FdSocket.TrySend(socket, "f"u8, [_lease.Buffers[0].File]))
        {
            throw new IOException($"{path} takes nothing");
        }
    }

    private static ulong Number(string text) => ulong.Parse(text, CultureInfo.InvariantCulture);
}
