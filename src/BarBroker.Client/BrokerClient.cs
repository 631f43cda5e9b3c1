// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Time;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Client;

/// <summary>
/// A program's way to a broker: leases memory of PCI devices and keeps the leases alive. One a process is enough; it may be used by many threads. It
/// connects again by itself after the broker was restarted.
/// </summary>
public sealed class BrokerClient : IAsyncDisposable
{
    // Timers take no more than 2^32 - 2 milliseconds.
    private static readonly TimeSpan _longestWait = TimeSpan.FromDays(40);

    private readonly GrpcChannel _rpc;
    private readonly SemaphoreSlim _connecting = new(1);
    private FdChannel? _files;
    private bool _disposed;

    private BrokerClient(BrokerClientOptions options)
    {
        Options = options;
        RuntimeDirectory = BrokerPaths.RuntimeDirectory(options.RuntimeDirectory);
        SocketPath = BrokerPaths.ClientSocket(RuntimeDirectory);
        _rpc = BrokerChannel.Open(SocketPath);
        Service = new LeaseService.LeaseServiceClient(_rpc);
        Table = new LeaseTable(this, new BootTimeProvider());
        KeepAlive = new KeepAlive(Table, Service, options.CallTimeout);
        Follower = new LeaseFollower(Table, KeepAlive, FilesAsync);
    }

    /// <summary>The <see cref="System.Diagnostics.ActivitySource"/> whose spans tell of acquires and releases. The broker's own spans of the lease are in the same trace.</summary>
    public const string ActivitySourceName = Tracing.SourceName;

    /// <summary>Where the broker's sockets are.</summary>
    public string RuntimeDirectory { get; }

    /// <summary>The broker's whole service, for what this class does not wrap. Its errors are <see cref="RpcException"/>; see <see cref="Failures.Translate"/>.</summary>
    public LeaseService.LeaseServiceClient Service { get; }

    internal BrokerClientOptions Options { get; }

    internal string SocketPath { get; }

    internal LeaseTable Table { get; }

    internal KeepAlive KeepAlive { get; }

    internal LeaseFollower Follower { get; }

    /// <summary>Connects to a broker, and makes sure that it answers.</summary>
    /// <exception cref="BrokerUnavailableException">Nobody answers, or the sockets may not be opened.</exception>
    public static async Task<BrokerClient> ConnectAsync(BrokerClientOptions? options = null, CancellationToken cancellation = default)
    {
        var client = new BrokerClient(options ?? new BrokerClientOptions());
        try
        {
            await client.ListDevicesAsync(cancellation).ConfigureAwait(false);
            await client.FilesAsync(cancellation).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The devices that the broker serves, with their BARs.</summary>
    /// <exception cref="BrokerException">The call failed.</exception>
    public async Task<ImmutableArray<Device>> ListDevicesAsync(CancellationToken cancellation = default)
    {
        var response = await CallInTimeAsync(token => Service.ListDevicesAsync(new ListDevicesRequest(), cancellationToken: token), cancellation).ConfigureAwait(false);
        return [.. response.Devices];
    }

    /// <summary>The pools that policy lets this process lease from, with what is free in them.</summary>
    /// <exception cref="BrokerException">The call failed.</exception>
    public async Task<ImmutableArray<Pool>> ListPoolsAsync(CancellationToken cancellation = default)
    {
        var response = await CallInTimeAsync(token => Service.ListPoolsAsync(new ListPoolsRequest(), cancellationToken: token), cancellation).ConfigureAwait(false);
        return [.. response.Pools];
    }

    /// <summary>Asks for memory, and returns the lease with the descriptors of its buffers.</summary>
    /// <exception cref="LeaseRefusedException">The broker says no: the code, the field, the device and the lease in the way are in the exception.</exception>
    /// <exception cref="BrokerUnavailableException">Nobody answers.</exception>
    public async Task<Lease> AcquireAsync(LeaseRequest request, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var message = request.ToMessage();
        using var span = Tracing.BeginAcquire();
        try
        {
            var lease = await AcquireOrRetryAsync(request, message, cancellation).ConfigureAwait(false);
            lease.Trace = Tracing.Granted(span, lease.Id);
            return lease;
        }
        catch (Exception exception)
        {
            span?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, exception.Message);
            throw;
        }
    }

    /// <summary>Releases the leases that were not disposed, and closes the connections.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        await Task.WhenAll(Table.Leases.Select(lease => lease.DisposeAsync().AsTask())).ConfigureAwait(false);
        await KeepAlive.DisposeAsync().ConfigureAwait(false);
        await Follower.DisposeAsync().ConfigureAwait(false);
        if (_files is { } files)
        {
            await files.DisposeAsync().ConfigureAwait(false);
        }

        await Table.Events.DisposeAsync().ConfigureAwait(false);
        _rpc.Dispose();
        _connecting.Dispose();
    }

    internal async Task<V1.Lease> ReleaseAsync(string leaseId, CancellationToken cancellation)
    {
        var response = await CallAsync(Service.ReleaseAsync(new ReleaseRequest { LeaseId = leaseId }, cancellationToken: cancellation), cancellation).ConfigureAwait(false);
        return response.Lease;
    }

    internal Task AcknowledgeRecallAsync(string leaseId, CancellationToken cancellation) =>
        CallInTimeAsync(token => Service.AcknowledgeRecallAsync(new AcknowledgeRecallRequest { LeaseId = leaseId }, cancellationToken: token), cancellation);

    private async Task<Lease> AcquireOrRetryAsync(LeaseRequest request, AcquireRequest message, CancellationToken cancellation)
    {
        try
        {
            return await AcquireOnceAsync(request, message, cancellation).ConfigureAwait(false);
        }
        catch (BrokerUnavailableException exception) when (!exception.IsAccessDenied)
        {
            // Connections of before a restart of the broker break only when they are used. The same request id makes a second try harmless.
            return await AcquireOnceAsync(request, message, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<Lease> AcquireOnceAsync(LeaseRequest request, AcquireRequest message, CancellationToken cancellation)
    {
        var files = await FilesAsync(cancellation).ConfigureAwait(false);
        return await files.AcquireAsync(message, request, AnswerTimeout(request), cancellation).ConfigureAwait(false);
    }

    /// <summary>The broker answers after the wait at the latest.</summary>
    private TimeSpan AnswerTimeout(LeaseRequest request)
    {
        var wait = request.Wait ?? TimeSpan.Zero;
        return Options.CallTimeout + (wait < _longestWait ? wait : _longestWait);
    }

    private async ValueTask<FdChannel> FilesAsync(CancellationToken cancellation)
    {
        if (Volatile.Read(ref _files) is { IsOpen: true } open)
        {
            return open;
        }

        await _connecting.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (_files is { IsOpen: true } connected)
            {
                return connected;
            }

            if (_files is { } broken)
            {
                _files = null;
                await broken.DisposeAsync().ConfigureAwait(false);
            }

            var fresh = await FdChannel.ConnectAsync(BrokerPaths.FdSocket(RuntimeDirectory), Table, cancellation).ConfigureAwait(false);
            Volatile.Write(ref _files, fresh);
            return fresh;
        }
        finally
        {
            _connecting.Release();
        }
    }

    /// <summary>For calls that may be made twice. Without a gRPC deadline, which is a time of the day: set back meanwhile, it would never come.</summary>
    private async Task<T> CallInTimeAsync<T>(Func<CancellationToken, AsyncUnaryCall<T>> call, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(Options.CallTimeout);
        try
        {
            return await CallAsync(call(timeout.Token), cancellation).ConfigureAwait(false);
        }
        catch (BrokerUnavailableException exception) when (!exception.IsAccessDenied && !timeout.IsCancellationRequested)
        {
            // A broker that is killed breaks off what is under way; the next one answers.
            return await CallAsync(call(timeout.Token), cancellation).ConfigureAwait(false);
        }
    }

    private async Task<T> CallAsync<T>(AsyncUnaryCall<T> call, CancellationToken cancellation)
    {
        try
        {
            return await call.ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException exception)
        {
            throw Failures.Translate(exception, SocketPath);
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            // The deadline of the call, or a connection that broke while it was under way.
            throw new BrokerUnavailableException(SocketPath, $"the broker did not answer within {Options.CallTimeout.TotalSeconds:0.#} s, or broke the call off", exception);
        }
    }
}
