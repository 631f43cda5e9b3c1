// SPDX-License-Identifier: Apache-2.0

using System.Threading.Channels;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>
/// Renews the leases of a client that made progress, over one stream, many a message; and asks the broker about leases that no notices come
/// for. It decides nothing about the application's life: without <see cref="Lease.Pulse"/> it renews nothing.
/// </summary>
internal sealed class KeepAlive : IAsyncDisposable
{
    /// <summary>The protocol's limit of heartbeats a message.</summary>
    private const int MaxHeartbeats = 1024;

    private static readonly TimeSpan _retryDelay = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan _longestAnswerTimeout = TimeSpan.FromSeconds(10);

    private readonly LeaseTable _table;
    private readonly LeaseService.LeaseServiceClient _service;
    private readonly TimeProvider _time;
    private readonly TimeSpan _answerTimeout;
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private readonly Task _loop;
    private AsyncDuplexStreamingCall<KeepAliveRequest, KeepAliveResponse>? _stream;
    private long _next = long.MaxValue;

    public KeepAlive(LeaseTable table, LeaseService.LeaseServiceClient service, TimeSpan callTimeout)
    {
        _answerTimeout = callTimeout < _longestAnswerTimeout ? callTimeout : _longestAnswerTimeout;
        _table = table;
        _service = service;
        _time = table.Time;
        _timer = _time.CreateTimer(static state => ((KeepAlive)state!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _loop = RunAsync();
    }

    /// <summary>Looks at all leases soon.</summary>
    public void Wake() => _wakes.Writer.TryWrite(true);

    /// <summary>A lease came into the table. It needs no look where an earlier one is due already.</summary>
    public void Added(Lease lease)
    {
        // After the lease is in the table, with a fence between; SetTimer does it the other way round, so one of the two sees the other.
        Interlocked.MemoryBarrier();
        if (lease.Clock.Next < Volatile.Read(ref _next))
        {
            Wake();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _wakes.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        await _timer.DisposeAsync().ConfigureAwait(false);
        _stream?.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (bool _ in _wakes.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
            {
                await RenewDueAsync().ConfigureAwait(false);
                await AskDueAsync().ConfigureAwait(false);
                SetTimer();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Disposed.
        }
    }

    private void SetTimer()
    {
        long next = long.MaxValue;
        Interlocked.Exchange(ref _next, next);
        foreach (var lease in _table.Leases)
        {
            next = lease.IsLive ? Math.Min(next, lease.Clock.Next) : next;
        }

        if (next != long.MaxValue)
        {
            var wait = _time.GetElapsedTime(_time.GetTimestamp(), next);
            Volatile.Write(ref _next, next);
            // A timer does not count suspends and rounds down to milliseconds: no longer than a minute, and a little more than asked.
            _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 1, 60_000)), Timeout.InfiniteTimeSpan);
        }
    }

    private async Task RenewDueAsync()
    {
        long now = _time.GetTimestamp();
        var leases = new List<Lease>();
        var request = new KeepAliveRequest();
        foreach (var lease in _table.Leases)
        {
            if (!lease.IsLive || !lease.Clock.IsDue(now, out ulong progress))
            {
                continue;
            }

            leases.Add(lease);
            request.Heartbeats.Add(new Heartbeat { LeaseId = lease.Id, Progress = progress });
            if (leases.Count == MaxHeartbeats)
            {
                await SendAsync(leases, request).ConfigureAwait(false);
                leases.Clear();
                request.Heartbeats.Clear();
            }
        }

        if (leases.Count > 0)
        {
            await SendAsync(leases, request).ConfigureAwait(false);
        }
    }

    private async Task SendAsync(List<Lease> leases, KeepAliveRequest request)
    {
        long asked = _time.GetTimestamp();
        KeepAliveResponse? response = await ExchangeAsync(request).ConfigureAwait(false);
        for (int i = 0; i < leases.Count; i++)
        {
            var lease = leases[i];
            if (response is null)
            {
                lease.Clock.Postpone(asked, _retryDelay);
                continue;
            }

            var result = response.Results[i];
            var remaining = result.Remaining?.ToTimeSpan() ?? TimeSpan.Zero;
            if (remaining > TimeSpan.Zero)
            {
                lease.Clock.Renewed(asked, remaining, request.Heartbeats[i].Progress);
            }

            if (remaining <= TimeSpan.Zero || (result.State == LeaseState.Recalled && lease.State != LeaseState.Recalled))
            {
                await AskAsync(lease).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Null: the broker did not answer.</summary>
    private async Task<KeepAliveResponse?> ExchangeAsync(KeepAliveRequest request)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        timeout.CancelAfter(_answerTimeout);
        try
        {
            _stream ??= _service.KeepAlive(cancellationToken: _stop.Token);
            await _stream.RequestStream.WriteAsync(request, timeout.Token).ConfigureAwait(false);
            if (await _stream.ResponseStream.MoveNext(timeout.Token).ConfigureAwait(false) && _stream.ResponseStream.Current.Results.Count == request.Heartbeats.Count)
            {
                return _stream.ResponseStream.Current;
            }
        }
        catch (Exception exception) when (!_stop.IsCancellationRequested && exception is RpcException or InvalidOperationException or OperationCanceledException or IOException)
        {
            // Told by the leases: they are renewed over a new stream before their TTL is over, or lost.
        }

        _stream?.Dispose();
        _stream = null;
        return null;
    }

    private async Task AskDueAsync()
    {
        long now = _time.GetTimestamp();
        foreach (var lease in _table.Leases)
        {
            if (lease.IsLive && now >= lease.Clock.AskAt)
            {
                await AskAsync(lease).ConfigureAwait(false);
            }
        }
    }

    private async Task AskAsync(Lease lease)
    {
        long asked = _time.GetTimestamp();
        // No gRPC deadline, which is a time of the day: set back meanwhile, it would never come.
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        timeout.CancelAfter(_answerTimeout);
        try
        {
            var response = await _service.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: timeout.Token).ConfigureAwait(false);
            lease.Clock.Remaining(asked, response.Lease.Remaining?.ToTimeSpan() ?? TimeSpan.Zero);
            lease.Clock.AskAgain(asked, lease.Ttl / 3);
            lease.Update(response.Lease);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            lease.End(LeaseState.Ended, EndReason.Unspecified, "the broker does not know the lease: it was restarted without it, or the lease ended long ago");
        }
        catch (RpcException exception) when (!_stop.IsCancellationRequested)
        {
            Unanswered(lease, asked, exception.Status.Detail);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            Unanswered(lease, asked, $"no answer within {_answerTimeout.TotalSeconds} s");
        }
    }

    private void Unanswered(Lease lease, long asked, string cause)
    {
        lease.Clock.AskAgain(asked, _retryDelay);
        if (_time.GetTimestamp() >= lease.Clock.Deadline)
        {
            lease.End(LeaseState.Revoking, EndReason.Expired, $"the TTL is over and the broker does not answer: {cause}");
        }
    }
}
