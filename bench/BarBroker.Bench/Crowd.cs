// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Bench;

/// <summary>Many live leases: what each costs in memory, what keeping them alive costs in time.</summary>
internal sealed class Crowd : IDisposable
{
    private const int PerMessage = 100;

    private readonly GrpcChannel _channel;
    private readonly AsyncDuplexStreamingCall<KeepAliveRequest, KeepAliveResponse> _stream;
    private readonly List<KeepAliveRequest> _messages = [];
    private ulong _progress;

    public Crowd(Broker broker)
    {
        _channel = Channels.Client(broker);
        _stream = new LeaseService.LeaseServiceClient(_channel).KeepAlive();
    }

    /// <summary>Acquires leases of a page each, 32 requests under way at a time, and fetches and closes their fds.</summary>
    public async Task GrowAsync(Broker broker, int leases, string device = "sim0", int ttlSeconds = 30)
    {
        using var redeemer = new Redeemer(broker);
        var service = new LeaseService.LeaseServiceClient(_channel);
        var request = new AcquireRequest { Device = device, Buffers = { new BufferRequest { Bar = 0, Size = 4096 } }, Ttl = Duration.FromTimeSpan(TimeSpan.FromSeconds(ttlSeconds)) };
        var ids = new List<string>(leases);
        foreach (int[] batch in Enumerable.Range(0, leases).Chunk(32))
        {
            var responses = await Task.WhenAll(batch.Select(_ => service.AcquireAsync(request).ResponseAsync));
            foreach (var response in responses)
            {
                await redeemer.RedeemAsync(response.Ticket);
            }

            ids.AddRange(responses.Select(response => response.Lease.Id));
        }

        _messages.AddRange(ids.Chunk(PerMessage).Select(chunk => new KeepAliveRequest { Heartbeats = { chunk.Select(id => new Heartbeat { LeaseId = id }) } }));
    }

    /// <summary>Releases them all.</summary>
    public async Task ShrinkAsync()
    {
        var service = new LeaseService.LeaseServiceClient(_channel);
        foreach (var batch in _messages.SelectMany(message => message.Heartbeats).Chunk(32))
        {
            await Task.WhenAll(batch.Select(heartbeat => service.ReleaseAsync(new ReleaseRequest { LeaseId = heartbeat.LeaseId }).ResponseAsync));
        }

        _messages.Clear();
    }

    /// <summary>One heartbeat for every lease, all messages at once.</summary>
    public async Task BeatAtOnceAsync()
    {
        _progress++;
        foreach (var heartbeat in _messages.SelectMany(static message => message.Heartbeats))
        {
            heartbeat.Progress = _progress;
        }

        var answers = Task.Run(async () =>
        {
            for (int i = 0; i < _messages.Count; i++)
            {
                await _stream.ResponseStream.MoveNext(CancellationToken.None);
            }
        });
        foreach (var message in _messages)
        {
            await _stream.RequestStream.WriteAsync(message);
        }

        await answers;
    }

    /// <summary>One heartbeat for every lease, message after message; returns how many there were.</summary>
    public async Task<int> BeatAllAsync()
    {
        int beats = 0;
        foreach (var message in _messages)
        {
            beats += await BeatAsync(message);
        }

        return beats;
    }

    /// <summary>A message of heartbeats every 5 ms, until it is over; notes how long each message waited for its answer from the time on that counts.</summary>
    public async Task BeatUntilAsync(Func<bool> counts, Task over, Samples waits)
    {
        for (int i = 0; !over.IsCompleted; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            await BeatAsync(_messages[i % _messages.Count]);
            if (counts())
            {
                waits.AddSince(begin);
            }

            // A message that waited long makes the next one no later.
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Max(0, 5 - Stopwatch.GetElapsedTime(begin).TotalMilliseconds)));
        }
    }

    /// <summary>Heartbeats at the pace of a 30 s TTL (each lease every 10 s) for that long; returns the broker's share of a core.</summary>
    public async Task<double> KeepPaceAsync(Broker broker, TimeSpan duration)
    {
        var pause = TimeSpan.FromSeconds(10) / _messages.Count;
        using var timer = new PeriodicTimer(pause);
        long begin = Stopwatch.GetTimestamp();
        var cpu = broker.CpuTime;
        for (int i = 0; Stopwatch.GetElapsedTime(begin) < duration; i++)
        {
            await BeatAsync(_messages[i % _messages.Count]);
            await timer.WaitForNextTickAsync();
        }

        return (broker.CpuTime - cpu) / Stopwatch.GetElapsedTime(begin);
    }

    public void Dispose()
    {
        _stream.Dispose();
        _channel.Dispose();
    }

    private async Task<int> BeatAsync(KeepAliveRequest message)
    {
        _progress++;
        foreach (var heartbeat in message.Heartbeats)
        {
            heartbeat.Progress = _progress;
        }

        await _stream.RequestStream.WriteAsync(message);
        if (!await _stream.ResponseStream.MoveNext(CancellationToken.None))
        {
            throw new InvalidOperationException("the broker ended the keep-alive stream");
        }

        int lost = _stream.ResponseStream.Current.Results.Count(result => result.State is not (LeaseState.Active or LeaseState.Granted));
        return lost == 0 ? message.Heartbeats.Count : throw new InvalidOperationException($"{lost} of {message.Heartbeats.Count} leases ended while they were kept alive");
    }
}
