// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Configuration;
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

namespace BarBroker.Hosting;

/// <content>What it is made of, and who is told of what. Nothing runs yet.</content>
internal sealed partial class BrokerHost
{
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
        _options = options = Predecessor.MakeWay(options, directory, start.Passed, _log);
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
        _journal = options.Journal.Enabled ? new LeaseJournal(options, time, () => Leases.List(LeaseFilter.All), logs.CreateLogger<LeaseJournal>()) : null;
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
