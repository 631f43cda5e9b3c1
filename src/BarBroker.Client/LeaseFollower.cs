// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Threading.Channels;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>
/// When the fd channel broke, has a new one made and asks there for the notices of the leases that came over the old one. Until that is done, and for leases that the broker does not tell of,
/// <see cref="KeepAlive"/> asks about them from time to time.
/// </summary>
internal sealed class LeaseFollower : IAsyncDisposable
{
    /// <summary>
    /// A broker older than this library does not know the request, and closes the connection for it. After so many times in a row it is not asked again, so that acquires keep theirs.
    /// </summary>
    private const int MaxRefusals = 3;

    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(500);

    private readonly LeaseTable _table;
    private readonly KeepAlive _keepAlive;
    private readonly Func<CancellationToken, ValueTask<FdChannel>> _connect;
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private int _refusals;

    /// <param name="connect">Gives the channel that is open, or a new one.</param>
    public LeaseFollower(LeaseTable table, KeepAlive keepAlive, Func<CancellationToken, ValueTask<FdChannel>> connect)
    {
        _table = table;
        _keepAlive = keepAlive;
        _connect = connect;
        _loop = RunAsync();
    }

    /// <summary>A channel broke.</summary>
    public void Wake() => _wakes.Writer.TryWrite(true);

    public async ValueTask DisposeAsync()
    {
        _wakes.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (bool _ in _wakes.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
            {
                bool isDone;
                do
                {
                    isDone = await TryFollowAsync().ConfigureAwait(false);
                    // Also where it was done: a broker that breaks each connection off is not asked without a pause.
                    await Task.Delay(_pause, _stop.Token).ConfigureAwait(false);
                }
                while (!isDone);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Disposed.
        }
    }

    /// <summary>False: to be tried again.</summary>
    private async Task<bool> TryFollowAsync()
    {
        if (_refusals == MaxRefusals || !_table.Leases.Any(static lease => lease is { IsLive: true, Channel.IsOpen: false }))
        {
            return true;
        }

        try
        {
            var channel = await _connect(_stop.Token).ConfigureAwait(false);
            foreach (var leases in _table.Leases.Where(lease => lease.IsLive && lease.Channel != channel).Chunk(V1.FdChannelLimits.MaxFollowed))
            {
                await FollowAsync(channel, leases).ConfigureAwait(false);
            }

            _refusals = 0;
            return true;
        }
        catch (Exception exception) when (exception is BrokerException or IOException or SocketException)
        {
            _refusals = exception.InnerException is BrokerException { Code: StatusCode.InvalidArgument } ? _refusals + 1 : 0;
            return _refusals == MaxRefusals;
        }
    }

    private async Task FollowAsync(FdChannel channel, Lease[] leases)
    {
        foreach (var lease in leases)
        {
            // Before it is asked: notices come before this goes on, and are acknowledged there; and if the channel breaks, it is the one to be replaced.
            lease.Channel = channel;
        }

        var results = await channel.FollowAsync([.. leases.Select(static lease => lease.Id)], _stop.Token).ConfigureAwait(false);
        for (int i = 0; i < leases.Length; i++)
        {
            if (results[i].Code == 0)
            {
                leases[i].Clock.Followed();
            }
            else
            {
                leases[i].Clock.AskFrom(_table.Time.GetTimestamp());
            }
        }

        if (!channel.IsOpen)
        {
            _table.Disconnected(channel);
        }

        _keepAlive.Wake();
    }
}
