// SPDX-License-Identifier: Apache-2.0

using System.Net;
using System.Net.Sockets;
using BarBroker.Configuration;
using BarBroker.Linux.ServiceManager;
using BarBroker.Rpc;
using Grpc.HealthCheck;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace BarBroker.Hosting;

/// <summary>
/// Kestrel with the two gRPC sockets and the metrics listener. The builder is the empty one: no appsettings.json, no environment variable and no
/// argument can open another listener or change a limit.
/// </summary>
internal static class BrokerWeb
{
    /// <summary>A process that answers no ping for this long, a stopped one for example, loses its connection; its leases have their own clocks.</summary>
    private static readonly TimeSpan PingInterval = TimeSpan.FromMinutes(1);

    public static void Listen(KestrelServerOptions kestrel, BrokerOptions options, ConnectionGate client, ConnectionGate forOperators)
    {
        kestrel.AddServerHeader = false;
        var limits = kestrel.Limits;

        // Streams live for as long as their client; what they may carry is bounded a message, not a stream.
        limits.MaxRequestBodySize = null;
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;

        // A connection stays for as long as its process wants it; how many a uid may have is bounded. Not infinite: Kestrel computes a time stamp
        // from it that overflows, and then closes every idle connection at its next heartbeat.
        limits.KeepAliveTimeout = TimeSpan.FromDays(365);
        limits.MaxRequestHeaderCount = 32;
        limits.MaxRequestHeadersTotalSize = 8 * 1024;
        limits.MaxRequestLineSize = 4 * 1024;
        limits.Http2.MaxStreamsPerConnection = 100;
        limits.Http2.MaxRequestHeaderFieldSize = 4 * 1024;
        limits.Http2.HeaderTableSize = 4 * 1024;
        limits.Http2.InitialConnectionWindowSize = 256 * 1024;
        limits.Http2.InitialStreamWindowSize = 128 * 1024;
        limits.Http2.KeepAlivePingDelay = PingInterval;
        limits.Http2.KeepAlivePingTimeout = PingInterval;
        kestrel.ListenUnixSocket(options.ClientSocket, listen => Add(listen, client));
        kestrel.ListenUnixSocket(options.OperatorSocket, listen => Add(listen, forOperators));
        if (options.Metrics is { } metrics)
        {
            kestrel.Listen(metrics, listen => listen.Protocols = HttpProtocols.Http1);
        }
    }

    public static void Transport(SocketTransportOptions transport, BrokerOptions options, SocketAccess client, SocketAccess forOperators, ActivatedDescriptors passed)
    {
        transport.UnsafePreferInlineScheduling = true;
        transport.CreateBoundListenSocket = endpoint => endpoint switch
        {
            UnixDomainSocketEndPoint unix when unix.ToString() == options.OperatorSocket => UnixListener.TakeOrBind(passed, options.OperatorSocket, SocketType.Stream, forOperators),
            UnixDomainSocketEndPoint => UnixListener.TakeOrBind(passed, options.ClientSocket, SocketType.Stream, client),
            _ => BindTcp((IPEndPoint)endpoint),
        };
    }

    public static void AddServices(IServiceCollection services, BrokerOptions options)
    {
        services.AddRoutingCore();
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = options.MessageBytes;
            grpc.EnableDetailedErrors = false;
            grpc.CompressionProviders = [];
            grpc.Interceptors.Add<RefusalInterceptor>();
        });
        if (options.Metrics is null && options.OtlpEndpoint is null)
        {
            return;
        }

        var telemetry = services.AddOpenTelemetry().WithMetrics(metrics =>
        {
            // Room is taken in advance for this many tag combinations of each instrument; the largest has three uses of six BARs of each device.
            int combinations = 128 + (32 * options.Devices.Length);
            metrics.AddMeter(Telemetry.LeaseMetrics.MeterName).AddView(_ => new MetricStreamConfiguration { CardinalityLimit = combinations });
            if (options.Metrics is not null)
            {
                metrics.AddPrometheusExporter(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0);
            }

            if (options.OtlpEndpoint is { } endpoint)
            {
                metrics.AddOtlpExporter(exporter => exporter.Endpoint = endpoint);
            }
        });
        if (options.OtlpEndpoint is { } collector)
        {
            telemetry.WithTracing(traces => traces
                .ConfigureResource(static resource => resource.AddService("barbrokerd"))
                .AddSource(Telemetry.LeaseTraces.SourceName)
                .AddOtlpExporter(exporter => exporter.Endpoint = collector));
        }
    }

    public static void Map(WebApplication app, BrokerOptions options)
    {
        app.UseRouting();
        app.Use(SocketGate.InvokeAsync);
        app.MapGrpcService<LeaseService>().WithMetadata(new ServedOn(SocketKind.Client));
        app.MapGrpcService<OperatorService>().WithMetadata(new ServedOn(SocketKind.Operator));
        var both = new ServedOn(SocketKind.Client | SocketKind.Operator);
        app.MapGrpcService<HealthServiceImpl>().WithMetadata(both);
        app.MapGrpcService<Reflection.Final>().WithMetadata(both);
        app.MapGrpcService<Reflection.Alpha>().WithMetadata(both);
        if (options.Metrics is not null)
        {
            app.MapPrometheusScrapingEndpoint("/metrics").WithMetadata(new ServedOn(SocketKind.Metrics));
        }
    }

    /// <summary>Whether nobody listens there.</summary>
    public static bool IsFree(IPEndPoint endpoint)
    {
        try
        {
            SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint).Dispose();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void Add(ListenOptions listen, ConnectionGate gate)
    {
        listen.Protocols = HttpProtocols.Http2;
        listen.Use(gate.Wrap);
    }

    private static Socket BindTcp(IPEndPoint endpoint)
    {
        try
        {
            return SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        }
        catch (SocketException exception)
        {
            throw new StartupException($"Metrics cannot be served on {endpoint}: {exception.Message}. Configure another metrics.address, or metrics.enabled false.", exception);
        }
    }
}
