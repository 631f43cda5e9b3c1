// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>
/// A client that behaves: it holds one lease all the time, and leases, fetches and gives back another one again and again, over connections that it made at the
/// start. The first thing that goes wrong is a failure.
/// </summary>
internal sealed class Citizen : IAsyncDisposable
{
    private readonly RpcClient _rpc;
    private readonly FdClient _fds;
    private readonly CancellationTokenSource _stop = new();
    private Task _living = Task.CompletedTask;
    private int _cycles;

    private Citizen(Daemon broker)
    {
        _rpc = RpcClient.Dial(broker.ClientSocket);
        _fds = new FdClient(broker.FdSocket);
    }

    /// <summary>Leases taken, fetched and given back, with a heartbeat for both leases in between.</summary>
    public int Cycles => Volatile.Read(ref _cycles);

    public static async Task<Citizen> StartAsync(Daemon broker)
    {
        var citizen = new Citizen(broker);
        await citizen.CycleAsync(null);
        citizen._living = citizen.LiveAsync();
        return citizen;
    }

    /// <summary>Waits until it has gone on living from here, and fails with what went wrong if anything ever has.</summary>
    public async Task AssertGoesOnAsync()
    {
        int cycles = Cycles;
        await Wait.Until(() => _living.IsCompleted || Cycles > cycles + 1, "a client that behaves gets leases", Patience.Long);
        if (_living.IsFaulted)
        {
            throw new InvalidOperationException($"a client that behaves has failed after {Cycles} leases", _living.Exception!.InnerException);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();

        // What went wrong is told where it is asserted; here it must not keep the daemon from being stopped.
        await _living.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _fds.Dispose();
        _rpc.Dispose();
        _stop.Dispose();
    }

    private async Task LiveAsync()
    {
        var kept = await FetchAsync();
        while (!_stop.IsCancellationRequested)
        {
            await CycleAsync(kept.Id);
        }

        await GiveBackAsync(kept);
    }

    private async Task CycleAsync(string? kept)
    {
        var lease = await FetchAsync();
        using (var stream = _rpc.Leases.KeepAlive(deadline: DateTime.UtcNow + Patience.Long))
        {
            string[] ids = kept is null ? [lease.Id] : [lease.Id, kept];
            await stream.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { ids.Select(id => new Heartbeat { LeaseId = id }) } });
            Assert.True(await stream.ResponseStream.MoveNext(CancellationToken.None));
            Assert.All(stream.ResponseStream.Current.Results, result => Assert.Equal(LeaseState.Active, result.State));
            await stream.RequestStream.CompleteAsync();
        }

        await GiveBackAsync(lease);
        Interlocked.Increment(ref _cycles);
    }

    private async Task<Lease> FetchAsync()
    {
        var request = new AcquireRequest { Buffers = { new BufferRequest { Bar = 0, Size = 8192 } } };
        var granted = await _rpc.Leases.AcquireAsync(request, deadline: DateTime.UtcNow + Patience.Long);
        var answer = await _fds.AskAsync(FdClient.Packet(granted.Ticket));
        Assert.Equal(granted.Lease.Id, answer?.Delivery?.Lease.Id);
        return granted.Lease;
    }

    private async Task GiveBackAsync(Lease lease)
    {
        var released = await _rpc.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, deadline: DateTime.UtcNow + Patience.Long);
        Assert.Equal((LeaseState.Ended, EndReason.Released), (released.Lease.State, released.Lease.EndReason));
        FdResponse? notice;
        do
        {
            notice = await _fds.ReceiveAsync();
            Assert.Equal(lease.Id, notice?.Notice?.Lease.Id);
        }
        while (notice!.Notice.Lease.State != LeaseState.Ended);
    }
}
