// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Configuration;
using BarBroker.Devices.Vfio;
using BarBroker.FdChannel;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.ServiceManager;
using BarBroker.Linux.Time;
using BarBroker.Policy;
using BarBroker.Processes;
using BarBroker.Restart;
using BarBroker.Rpc;
using BarBroker.Telemetry;
using Grpc.AspNetCore.Server;
using Grpc.HealthCheck;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;

namespace BarBroker.Hosting;

/// <summary>The whole broker in one object: built from options, started, stopped. The program runs one; a test may run several.</summary>
internal sealed class BrokerHost : IAsyncDisposable
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

    private BrokerHost(BrokerOptions options, SocketAccess clients, SocketAccess operators, RuntimeDirectory directory, Action<ILoggingBuilder> logging, Func<BrokerOptions>? read, ServiceStart start)
    {
        _options = options;
        _start = start;
        _directory = directory;
        var time = new BootTimeProvider();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "barbrokerd" });
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = CloseTimeout);
        var logs = _logs = LoggerFactory.Create(logging);
        _log = logs.CreateLogger<BrokerHost>();
        _options = options = Inherit(options, directory);
        _inheritance = Inheritance.Begin(options, start, _restartMetrics, time, logs.CreateLogger<Inheritance>());
        var epochs = new EpochReserve(options.StateDirectory, _inheritance.Board, logs.CreateLogger<EpochReserve>(), () => _fault.TrySetResult("no epochs are left"));
        Leases = new LeaseManager(options.Leases, options.Devices.Select(entry => DeviceFactory.Create(entry, options.Leases.RevokeTimeout)), epochs.First, time);
        Vitals = new Vitals(Leases, time, start.Watchdog / 4 is { } quarter && quarter < SignsInterval ? quarter : SignsInterval, logs.CreateLogger<Vitals>());
        _registry = new ClientRegistry(Leases.OwnerExited, logs.CreateLogger<ClientRegistry>(), _inheritance.Keeper);
        if (_inheritance.Keeper is { } keeper)
        {
            Leases.UseKeeper(keeper, _inheritance.Board!);
        }

        Leases.UseKiller(new ClientKiller(_registry, logs.CreateLogger<ClientKiller>()));
        var healthService = new HealthServiceImpl();
        _health = new HealthReporter(healthService);
        Vitals.Taken += _health.SignsTaken;
        _leaseLog = new LeaseLog(logs.CreateLogger<LeaseLog>());
        Reloader = new ConfigurationReloader(options, read, Leases, logs.CreateLogger<ConfigurationReloader>());
        _journal = options.Journal.Enabled ? new LeaseJournal(options, time, () => Leases.List(LeaseFilter.All), logs.CreateLogger<LeaseJournal>(), waitForTakeOver: _inheritance.Keeper is not null) : null;
        if (_journal is not null)
        {
            _restartMetrics.UseRecords(() => _journal.EndedEarlier);
        }

        if (_inheritance.Board is { } board)
        {
            _journal!.Incomplete = board.SetIncomplete;
        }

        _status = new StatusReport(Leases, Reloader, time, _journal);
        _traces = options.OtlpEndpoint is not null ? new LeaseTraces(IsLive) : null;
        foreach (var observer in new ILeaseObserver?[] { _journal, _traces, _registry, epochs, _leaseLog, _health }.OfType<ILeaseObserver>())
        {
            Leases.Subscribe(observer);
        }

        Leases.Refused = _journal is { } journal ? journal.Refused : null;

        _fdChannel = new FdChannelServer(
            UnixListener.TakeOrBind(start.Passed, options.FdSocket, SocketType.Seqpacket, clients),
            Leases,
            _registry,
            new FdChannelOptions { ConnectionsPerUid = options.ConnectionsPerUid },
            logs.CreateLogger<FdChannelServer>(),
            _traces);
        var clientLimit = new ConnectionLimiter(options.ConnectionsPerUid);
        var operatorLimit = new ConnectionLimiter(options.ConnectionsPerUid);
        _processMetrics = new ProcessMetrics(() => clientLimit.Open, () => operatorLimit.Open, () => _registry.Count);
        var gateLog = logs.CreateLogger<ConnectionGate>();
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => BrokerWeb.Listen(
            kestrel,
            options,
            new ConnectionGate(SocketKind.Client, clientLimit, _registry, gateLog),
            new ConnectionGate(SocketKind.Operator, operatorLimit, _registry, gateLog)));
        builder.WebHost.UseSockets(transport => BrokerWeb.Transport(transport, options, clients, operators, start.Passed));
        BrokerWeb.AddServices(builder.Services, options);
        builder.Services
            .AddSingleton(logs)
            .AddSingleton<IHostLifetime, NoLifetime>()
            .AddSingleton(healthService)
            .AddSingleton(new Reflection.Final())
            .AddSingleton(new Reflection.Alpha())
            .AddSingleton(new LeaseService(Leases, _registry, _stopping, _traces))
            .AddSingleton(new OperatorService(Leases, _status, Reloader, _stopping, new HistoryStream(_journal), logs.CreateLogger<OperatorService>()))
            .AddSingleton(new RefusalInterceptor(_rpcMetrics, logs.CreateLogger<RefusalInterceptor>()));
        if (_traces is not null)
        {
            builder.Services.AddSingleton(new OperatorSpans(_traces)).Configure<GrpcServiceOptions<OperatorService>>(grpc => grpc.Interceptors.Add<OperatorSpans>());
        }

        if (_journal is not null)
        {
            builder.Services.AddSingleton(new OperatorActions(_journal)).Configure<GrpcServiceOptions<OperatorService>>(grpc => grpc.Interceptors.Add<OperatorActions>());
        }

        _app = builder.Build();
        BrokerWeb.Map(_app, options);
        if (options.Metrics is not null)
        {
            new HealthPages(Vitals, _health).Map(_app);
        }
    }

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

    /// <param name="configuration">The name of the configuration file, for messages.</param>
    /// <param name="read">Reads and checks the configuration again; null if it cannot be.</param>
    /// <param name="start">From the service manager; null: there is none.</param>
    /// <exception cref="ConfigurationException">It does not fit this system.</exception>
    /// <exception cref="StartupException">Something is in the way.</exception>
    public static BrokerHost Build(BrokerOptions options, string configuration, Action<ILoggingBuilder> logging, Func<BrokerOptions>? read = null, ServiceStart? start = null)
    {
        var (clients, operators) = SocketAccess.Resolve(options, configuration);
        var directory = RuntimeDirectory.Take(options.RuntimeDirectory);
        try
        {
            return new BrokerHost(options, clients, operators, directory, logging, read, start ?? new ServiceStart(ActivatedDescriptors.None, null, null));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Opens the devices, then the sockets: whoever can connect finds every device as it is. A device that takes long is not waited for.</summary>
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

        if (_inheritance.Keeper is not null)
        {
            _taking = _inheritance.CompleteAsync(_journal!, Leases, _stopTaking.Token);
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

    /// <summary>From a broker that was killed and whose files are open still: its socket files would seem to be answered on, and its metrics listener holds the port.</summary>
    private BrokerOptions Inherit(BrokerOptions options, RuntimeDirectory directory)
    {
        if (directory.Predecessor is not { } predecessor)
        {
            return options;
        }

        HostLog.TookOver(_log, predecessor);
        var passed = _start.Passed.Unclaimed;
        foreach (string socket in new[] { options.ClientSocket, options.OperatorSocket, options.FdSocket })
        {
            // A service manager's socket is not the predecessor's alone.
            if (!passed.Contains(Path.GetFileName(socket)))
            {
                File.Delete(socket);
            }
        }

        if (options.Metrics is not { } metrics || BrokerWeb.IsFree(metrics))
        {
            return options;
        }

        HostLog.MetricsHeld(_log, metrics, predecessor);
        return options with { Metrics = null };
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

    private bool IsLive(string leaseId)
    {
        try
        {
            return Leases.Get(leaseId).State != LeaseState.Ended;
        }
        catch (LeaseException)
        {
            return false;
        }
    }
}
