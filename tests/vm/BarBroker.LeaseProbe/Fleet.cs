// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.Client;

namespace BarBroker.LeaseProbe;

/// <summary>
/// One process with many leases that writes to all of them, round after round, finds what it wrote, and asks the broker something all the time, whatever becomes of the broker meanwhile. It says
/// <code>
/// ready COUNT                     when it has all leases
/// ID EPOCH                        for each of them
/// lost ID REASON                  when one is lost
/// foreign ID                      when there is in its memory what it has not written
/// </code>
/// and answers a line of its standard input with "report ROUNDS LOST FOREIGN FAILURES SILENCE FROM UNTIL": calls that failed, and the longest time without an answer, in milliseconds, and when it began and ended, in
/// microseconds of CLOCK_MONOTONIC, all since the last report. It ends with the input.
/// </summary>
internal sealed class Fleet : IDisposable
{
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(20);

    // While leases are still asked for: signs of life, and time for those who grant.
    private static readonly TimeSpan _pauseAtFirst = TimeSpan.FromSeconds(1);

    private readonly BrokerClient _client;
    private readonly (Lease Lease, BufferMapping Memory)[] _members;
    private readonly CancellationTokenSource _done = new();
    private readonly Lock _gate = new();
    private int _count;
    private long _rounds;
    private int _lost;
    private int _foreign;
    private int _failures;
    private (long From, long Until) _silence;
    private long _answered = Stopwatch.GetTimestamp();

    private Fleet(BrokerClient client, int count)
    {
        _client = client;
        _members = new (Lease, BufferMapping)[count];
    }

    public static async Task<int> RunAsync(BrokerClient client, string device, int bar, int count, ulong bytes, TimeSpan ttl)
    {
        using var fleet = new Fleet(client, count);
        // From the first on, so that none expires while the others are asked for.
        var work = Task.Factory.StartNew(fleet.Work, TaskCreationOptions.LongRunning);
        for (int i = 0; i < count; i++)
        {
            fleet.Add(await client.AcquireAsync(LeaseRequest.OfSize(device, bytes, bar) with { Ttl = ttl }));
        }

        Console.WriteLine($"ready {count}");
        foreach (var (lease, _) in fleet._members)
        {
            Console.WriteLine($"{lease.Id} {lease.Epoch}");
        }

        fleet._answered = Stopwatch.GetTimestamp();
        var ask = fleet.AskAsync();
        while (await Console.In.ReadLineAsync() is not null)
        {
            fleet.Report();
        }

        await fleet._done.CancelAsync();
        await Task.WhenAll(work, ask);
        return 0;
    }

    public void Dispose() => _done.Dispose();

    private void Add(Lease lease)
    {
        var memory = lease.Buffers[0].Map();
        memory.CopyFrom(0, BitConverter.GetBytes(lease.Epoch));
        lease.Lost += (_, lost) =>
        {
            Interlocked.Increment(ref _lost);
            Console.WriteLine($"lost {lease.Id} {lost.Reason} {lost.Detail}");
        };
        _members[_count] = (lease, memory);
        Volatile.Write(ref _count, _count + 1);
    }

    private void Work()
    {
        Span<byte> found = stackalloc byte[16];
        for (ulong round = 1; !_done.IsCancellationRequested; round++)
        {
            foreach (var (lease, memory) in _members.AsSpan(0, Volatile.Read(ref _count)))
            {
                try
                {
                    memory.CopyFrom(8, BitConverter.GetBytes(round));
                    memory.CopyTo(0, found);
                }
                catch (LeaseLostException)
                {
                    continue;
                }

                if (BitConverter.ToUInt64(found) != lease.Epoch || BitConverter.ToUInt64(found[8..]) != round)
                {
                    Interlocked.Increment(ref _foreign);
                    Console.WriteLine($"foreign {lease.Id}");
                }

                lease.Pulse();
            }

            Interlocked.Increment(ref _rounds);
            _done.Token.WaitHandle.WaitOne(Volatile.Read(ref _count) < _members.Length ? _pauseAtFirst : _pause);
        }
    }

    private async Task AskAsync()
    {
        while (!_done.IsCancellationRequested)
        {
            try
            {
                await _client.ListDevicesAsync(_done.Token);
                Answered(Stopwatch.GetTimestamp());
                await Task.Delay(_pause, _done.Token);
            }
            catch (BrokerException)
            {
                Interlocked.Increment(ref _failures);
                await Task.Delay(_pause);
            }
            catch (OperationCanceledException) when (_done.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void Answered(long now)
    {
        lock (_gate)
        {
            if (now - _answered > _silence.Until - _silence.From)
            {
                _silence = (_answered, now);
            }

            _answered = now;
        }
    }

    private void Report()
    {
        long from, until;
        lock (_gate)
        {
            (from, until) = _silence;
            _silence = default;
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"report {Interlocked.Read(ref _rounds)} {_lost} {_foreign} {Interlocked.Exchange(ref _failures, 0)} {Microseconds(until - from) / 1000} {Microseconds(from)} {Microseconds(until)}"));
    }

    private static long Microseconds(long stamps) => stamps / (Stopwatch.Frequency / 1_000_000);
}
