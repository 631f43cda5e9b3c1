// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>
/// A process that owns a lease. It connected to the broker itself, and its signs of life become the heartbeats; the test only does the talking. A process that
/// is stopped gives no sign of life, and so no heartbeat.
/// </summary>
internal sealed class LeaseHolder : IAsyncDisposable
{
    private readonly RpcClient _rpc;
    private readonly CancellationTokenSource _stop = new();
    private Task _beating = Task.CompletedTask;
    private int _renewed;

    private LeaseHolder(HolderProcess process, RpcClient rpc)
    {
        Process = process;
        _rpc = rpc;
    }

    public HolderProcess Process { get; }

    public LeaseService.LeaseServiceClient Leases => _rpc.Leases;

    public Lease Lease { get; private set; } = new();

    public ByteString Ticket { get; private set; } = ByteString.Empty;

    public ulong Bytes => Lease.Buffers.Aggregate(0ul, (sum, buffer) => sum + buffer.Size);

    /// <summary>Heartbeats that the broker answered with time left.</summary>
    public int Renewed => Volatile.Read(ref _renewed);

    /// <summary>Leases what is asked for, without fetching it.</summary>
    public static async Task<LeaseHolder> AcquireAsync(Daemon broker, HolderProcess process, AcquireRequest request)
    {
        var holder = new LeaseHolder(process, RpcClient.Over(await process.LendConnectionAsync(broker.ClientSocket)));
        var answer = await holder.Leases.AcquireAsync(request, deadline: DateTime.UtcNow + Patience.Long);
        holder.Lease = answer.Lease;
        holder.Ticket = answer.Ticket;
        return holder;
    }

    /// <summary>Leases, has the process fetch and map the buffers, and keeps the lease alive from then on by the process's signs of life.</summary>
    public static async Task<LeaseHolder> HoldAsync(Daemon broker, HolderProcess process, AcquireRequest request)
    {
        var holder = await AcquireAsync(broker, process, request);
        await process.AskAsync($"redeem {broker.FdSocket} {RedeemPacket(holder.Ticket)}");
        holder._beating = holder.RelayBeatsAsync();
        await process.AskAsync("beat live");
        return holder;
    }

    /// <summary>A FdRequest in hexadecimal.</summary>
    public static string RedeemPacket(ByteString ticket) =>
        Convert.ToHexStringLower(new FdRequest { Redeem = new RedeemRequest { Ticket = ticket } }.ToByteArray());

    public async Task<Lease> GetAsync() => (await Leases.GetLeaseAsync(new GetLeaseRequest { LeaseId = Lease.Id })).Lease;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _beating;
        _rpc.Dispose();
        _stop.Dispose();
    }

    private async Task RelayBeatsAsync()
    {
        try
        {
            using var stream = Leases.KeepAlive(cancellationToken: _stop.Token);
            await foreach (ulong progress in Process.Beats.ReadAllAsync(_stop.Token))
            {
                await stream.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { new Heartbeat { LeaseId = Lease.Id, Progress = progress } } }, _stop.Token);
                if (!await stream.ResponseStream.MoveNext(_stop.Token))
                {
                    return;
                }

                if (stream.ResponseStream.Current.Results[0].Remaining.ToTimeSpan() > TimeSpan.Zero)
                {
                    Interlocked.Increment(ref _renewed);
                }
            }
        }
        catch (Exception exception) when (exception is RpcException or OperationCanceledException or IOException)
        {
            // The broker or the test is over; a lease that wants heartbeats shows it by its end.
        }
    }
}
