// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Text;
using BarBroker.Configuration;
using BarBroker.Hosting;
using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;

namespace BarBroker.Tests.Hosting;

/// <summary>A broker in this process, on real sockets in a directory of its own, with simulated devices, and callers for both of its gRPC sockets.</summary>
[Collection(typeof(Alone))]
public abstract class BrokerTest : TestBase
{
    protected const ulong Page = 4096;

    private protected TestDirectory Directory { get; private set; } = null!;

    private protected BrokerHost Broker { get; private set; } = null!;

    protected LeaseService.LeaseServiceClient Client { get; private set; } = null!;

    protected OperatorService.OperatorServiceClient Operator { get; private set; } = null!;

    protected GrpcChannel ClientChannel { get; private set; } = null!;

    protected GrpcChannel OperatorChannel { get; private set; } = null!;

    protected string ClientSocket => Directory.File("broker.sock");

    protected string OperatorSocket => Directory.File("admin.sock");

    /// <summary>The devices of the broker, in the configuration's words.</summary>
    protected virtual string Devices => $$"""{ "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "1MiB" }, { "index": 2, "size": "64KiB" } ], "faults": "{{Directory.File("faults")}}" }""";

    /// <summary>More of the configuration, such as <c>"leases": {},</c>.</summary>
    protected virtual string More => "";

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory = Own(new TestDirectory());
        Broker = await Start();
        ClientChannel = Own(Open(ClientSocket));
        OperatorChannel = Own(Open(OperatorSocket));
        Client = new LeaseService.LeaseServiceClient(ClientChannel);
        Operator = new OperatorService.OperatorServiceClient(OperatorChannel);
    }

    /// <summary>A started broker with this test's configuration; owned by the test.</summary>
    private protected async Task<BrokerHost> Start()
    {
        var host = Own(Build());
        await host.StartAsync(Cancellation);
        return host;
    }

    private protected virtual BrokerHost Build() => BrokerHost.Build(Options(), "test", AddLogs);

    private protected virtual BrokerOptions Options() => Parse(Devices, More);

    private protected BrokerOptions Parse(string devices, string more)
    {
        // As root the groups must be named; root's own is there everywhere.
        string sockets = Users.EffectiveUid == 0 ? """ "sockets": { "clientGroup": "root", "operatorGroup": "root" }, """ : "";
        string text = $$"""{ {{sockets}} "metrics": { "address": "127.0.0.1:0" }, {{more}} "devices": [ {{devices}} ] }""";
        return ConfigurationFile.Parse(Encoding.UTF8.GetBytes(text), "test", Directory.Path, new ConfigurationFaults());
    }

    private protected void AddLogs(ILoggingBuilder logging) =>
        logging.SetMinimumLevel(LogLevel.Debug).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.None).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None).AddProvider(Logs);

    protected static GrpcChannel Open(string socket) => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler { ConnectCallback = (_, cancellation) => Dial(socket, cancellation), UseProxy = false },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = null,
    });

    protected static async ValueTask<Stream> Dial(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A request for any range of this size of BAR 0.</summary>
    protected static AcquireRequest Sized(ulong size, string device = "sim0") =>
        new() { Device = device, Buffers = { new BufferRequest { Size = size } }, Ttl = Duration.FromTimeSpan(TimeSpan.FromMinutes(5)) };

    protected static AcquireRequest Ranged(params (ulong Offset, ulong Length)[] ranges)
    {
        var buffer = new BufferRequest();
        buffer.Ranges.AddRange(ranges.Select(range => new V1.Range { Offset = range.Offset, Length = range.Length }));
        return new AcquireRequest { Device = "sim0", Buffers = { buffer } };
    }

    protected async Task<Lease> Acquire(ulong size = Page, Action<AcquireRequest>? change = null)
    {
        var request = Sized(size);
        change?.Invoke(request);
        return (await Client.AcquireAsync(request, cancellationToken: Cancellation)).Lease;
    }

    /// <summary>The status that the call must end with, and the detail that came with it, or null.</summary>
    protected static async Task<(string Message, ErrorDetail? Detail)> Refused<T>(StatusCode code, AsyncUnaryCall<T> call)
    {
        var exception = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
        Assert.True(code == exception.StatusCode, $"expected {code}, was {exception.Status}");
        return (exception.Status.Detail, exception.GetRpcStatus()?.GetDetail<ErrorDetail>());
    }

    protected static async Task<RpcException> Refused<T>(StatusCode code, AsyncServerStreamingCall<T> call)
    {
        var exception = await Assert.ThrowsAsync<RpcException>(() => ReadAll(call));
        Assert.True(code == exception.StatusCode, $"expected {code}, was {exception.Status}");
        return exception;
    }

    protected static async Task<List<T>> ReadAll<T>(AsyncServerStreamingCall<T> call)
    {
        var messages = new List<T>();
        await foreach (var message in call.ResponseStream.ReadAllAsync(Cancellation))
        {
            messages.Add(message);
        }

        return messages;
    }

    protected static async Task<T> Next<T>(IAsyncStreamReader<T> stream, string what)
    {
        Assert.True(await Wait.For(stream.MoveNext(Cancellation), what), $"the stream ended before {what}");
        return stream.Current;
    }
}
