// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Devices.Vfio;
using BarBroker.FdChannel;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.ServiceManager;
using BarBroker.Policy;
using BarBroker.Processes;
using BarBroker.Restart;
using BarBroker.Rpc;
using BarBroker.Telemetry;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace BarBroker.Hosting;

/// <summary>The whole broker in one object: built from options, started, stopped. The program runs one; a test may run several.</summary>
internal sealed partial class BrokerHost : IAsyncDisposable
{
    private static readonly TimeSpan OpenPatience = TimeSpan.FromSeconds(2);
    // With the journal's patience less than TimeoutStartSec= of the unit.
    private static readonly TimeSpan RestorePatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan SignsInterval = TimeSpan.FromSeconds(5);

    private readonly BrokerOptions _options;
    private readonly ILoggerFactory _logs;
    private readonly ILogger _log;
    private readonly ServiceStart _start;
    private readonly WebApplication _app;
    private readonly RuntimeDirectory _directory;
    private readonly ClientRegistry _registry;
    private readonly HealthReporter _health;
    private readonly FdChannelServer _fdChannel;
    private readonly StatusReport _status;
    private readonly LeaseLog _leaseLog;
    private readonly LeaseJournal? _journal;
    private readonly Inheritance _inheritance;
    private readonly LeaseTraces? _traces;
    private readonly Stopping _stopping = new();
    private readonly RpcMetrics _rpcMetrics = new();
    private readonly ProcessMetrics _processMetrics;
    private readonly RestartMetrics _restartMetrics = new();
    private readonly TaskCompletionSource<string> _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopTaking = new();
    private Task _taking = Task.CompletedTask;
    private VfioNodeWatch? _nodes;
    private bool _stopped;
    private bool _disposed;

    public LeaseManager Leases { get; }

    /// <summary>Taken from the start until the leases are disposed of.</summary>
    public Vitals Vitals { get; }

    /// <summary>Null: none is kept.</summary>
    public LeaseJournal? Journal => _journal;

    public ConfigurationReloader Reloader { get; }

    /// <summary>Completes, with the reason, if the broker must not go on.</summary>
    public Task<string> Fault => _fault.Task;

    /// <summary>Empty if metrics are off.</summary>
    public string MetricsUrl => _status.MetricsUrl;

    public ILogger Log => _log;

    /// <summary>The state of the broker in a line.</summary>
    public string Summary() => _status.Summary();

    /// <summary>Opens the devices, then the sockets: whoever can connect finds every device as it is. A device that takes long is not waited for. When this is cancelled, <see cref="StopAsync"/> leaves what was not taken up yet to the next run.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        WarnOfDevices();
        _journal?.Started();
        if (_inheritance.Keeper is not null)
        {
            await _inheritance.PlanAsync(_journal!, Leases, _registry, [.. _options.Devices.Select(static device => device.Name)], cancellation);
        }

        Leases.Start();
        Vitals.Start();
        if (_options.Devices.Any(static device => device is VfioDeviceEntry))
        {
            _nodes = new VfioNodeWatch("/dev", Leases.RetryUnavailable, failure => HostLog.NodesNotWatched(_log, failure));
        }

        // Those who have leases of before find them when they can connect.
        var patience = _inheritance.IsRestoring ? RestorePatience : OpenPatience;
        try
        {
            await Leases.WaitFirstOpenAsync(cancellation).WaitAsync(patience, cancellation);
        }
        catch (TimeoutException)
        {
            HostLog.SlowOpen(_log, patience);
        }

        if (_journal is not null)
        {
            _taking = _inheritance.CompleteAsync(_journal, Leases, _stopTaking.Token);
        }

        _health.Start(Leases.Devices());
        _fdChannel.Start();
        await _app.StartAsync(cancellation);
        Leases.Metrics.ShowZeros(_options.Devices.Select(static device => device.Name));
        _status.MetricsUrl = FindMetricsUrl();
        _status.Ready();
        CloseUnclaimed();
        HostLog.Ready(_log, _options.RuntimeDirectory, _options.StateDirectory, MetricsUrl.Length > 0 ? MetricsUrl : "nowhere", _options.Devices.Length);
    }

    /// <summary>Ends every lease while the sockets still tell of it, or leaves them for the next run, then closes the sockets.</summary>
    public async Task StopAsync(string reason)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        HostLog.Stopping(_log, reason);
        _leaseLog.IsStopping = true;
        _nodes?.Dispose();
        _health.Stop();
        await _stopTaking.CancelAsync();
        try
        {
            await _taking;
        }
        catch (OperationCanceledException)
        {
            // What is not taken up yet is the next run's.
        }

        // As long as a revoke may take before its lease is called stuck: longer would prove nothing that the end of the process does not.
        using var patience = new CancellationTokenSource(Leases.Options.RevokeTimeout);
        try
        {
            if (_inheritance.Keeper is not null)
            {
                int left = await Leases.LeaveAsync(patience.Token);
                RestartLog.Left(_log, left);
            }
            else
            {
                await Leases.ShutdownAsync(patience.Token);
            }
        }
        catch (OperationCanceledException)
        {
            HostLog.ShutdownIncomplete(_log, Leases.Options.RevokeTimeout);
        }

        _stopping.Stop();
        using var close = new CancellationTokenSource(CloseTimeout);
        await _app.StopAsync(close.Token);
        await _fdChannel.DisposeAsync();
        _journal?.Stopped(reason);
        HostLog.Stopped(_log);
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await StopAsync("disposed");
        await _app.DisposeAsync();
        _registry.Dispose();
        Vitals.Dispose();
        await Leases.DisposeAsync();
        _journal?.Dispose();
        _processMetrics.Dispose();
        _restartMetrics.Dispose();
        _rpcMetrics.Dispose();
        _traces?.Dispose();
        _stopping.Dispose();
        _stopTaking.Dispose();

        // Last: from now on another broker may take the place.
        _directory.Dispose();

        // Writes what is still queued.
        _logs.Dispose();
    }

    /// <summary>Whoever has use for a descriptor has claimed it by now.</summary>
    private void CloseUnclaimed()
    {
        if (_start.Passed.Unclaimed is { IsEmpty: false } names)
        {
            _start.Passed.Dispose();
            _inheritance.Forget(names);
            HostLog.Unclaimed(_log, string.Join(", ", names));
        }
    }

    private void WarnOfDevices()
    {
        foreach (var device in _options.Devices.OfType<SimulatedDeviceEntry>())
        {
            HostLog.Simulated(_log, device.Name);
        }

        if (_options.Devices.IsEmpty)
        {
            HostLog.NoDevices(_log);
        }
    }

    private string FindMetricsUrl()
    {
        var addresses = _app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        string? address = _options.Metrics is null ? null : addresses.FirstOrDefault(address => !address.Contains("unix:", StringComparison.Ordinal));
        return address is null ? "" : $"{address.TrimEnd('/')}/metrics";
    }
}
