// SPDX-License-Identifier: Apache-2.0

using System.Net;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using HealthReporter = BarBroker.Rpc.HealthReporter;

namespace BarBroker.Tests.Rpc;

public sealed class SocketSeparationTests : BrokerTest
{
    [Fact]
    public async Task LeaseService_OnOperatorSocket_Unimplemented() =>
        await Refused(StatusCode.Unimplemented, new LeaseService.LeaseServiceClient(OperatorChannel).ListDevicesAsync(new(), cancellationToken: Cancellation));

    [Fact]
    public async Task OperatorService_OnClientSocket_Unimplemented()
    {
        var intruder = new OperatorService.OperatorServiceClient(ClientChannel);
        var lease = await Acquire();

        await Refused(StatusCode.Unimplemented, intruder.GetStatusAsync(new(), cancellationToken: Cancellation));
        await Refused(StatusCode.Unimplemented, intruder.Revoke(new RevokeRequest { LeaseIds = { lease.Id } }, cancellationToken: Cancellation));

        Assert.Equal(LeaseState.Granted, (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State);
    }

    [Theory]
    [InlineData("barbroker.v1.LeaseService")]
    [InlineData("barbroker.v1.OperatorService")]
    public async Task AnyService_OnMetricsListener_NotThere(string service)
    {
        using var http = new HttpClient();
        using var content = new ByteArrayContent([0, 0, 0, 0, 0]);
        content.Headers.ContentType = new("application/grpc");

        var response = await http.PostAsync(new Uri(new Uri(Broker.MetricsUrl), $"/{service}/ListDevices"), content, Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task Metrics_OnClientSocket_NotThere()
    {
        using var handler = new SocketsHttpHandler { ConnectCallback = (_, cancellation) => Dial(ClientSocket, cancellation) };
        using var http = new HttpClient(handler) { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        var response = await http.GetAsync(new Uri("http://localhost/metrics"), Cancellation);

        Assert.Equal("12", response.Headers.GetValues("grpc-status").Single());
        Assert.Empty(await response.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task Health_DeviceReadyThenCordoned_LeaseServiceFollowsAndOperatorServiceServes()
    {
        var client = new Health.HealthClient(ClientChannel);
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, await Check(client, ""));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, await Check(client, "barbroker.v1.LeaseService"));

        await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, await Check(client, ""));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, await Check(client, "barbroker.v1.LeaseService"));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, await Check(new Health.HealthClient(OperatorChannel), "barbroker.v1.OperatorService"));
    }

    [Fact]
    public async Task HealthPages_DeviceReadyThenCordoned_LiveStaysAndReadyFollows()
    {
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await Get("/healthz"));
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await Get("/readyz"));

        await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);

        Assert.Equal((HttpStatusCode.OK, "ok\n"), await Get("/healthz"));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "sim0 is cordoned\n"), await Get("/readyz"));
    }

    [Theory]
    [InlineData(false, "sim0", "the sweep, which ends what has expired, does not run")]
    [InlineData(true, "sim0", "the thread of sim0 is not there")]
    [InlineData(true, "sim1", "")]
    public void Obstacles_SignsOfADeviceThatIsReady_AreWhatTheySay(bool isSweeping, string away, string expected)
    {
        var health = new HealthReporter(new Grpc.HealthCheck.HealthServiceImpl());
        Assert.Equal("the broker starts", health.Obstacles());
        health.Start(Broker.Leases.Devices());

        health.SignsTaken(new BarBroker.Leases.VitalSigns(isSweeping, [away], []));

        Assert.Equal(expected, health.Obstacles());
        health.Stop();
        Assert.Equal("the broker stops", health.Obstacles());
    }

    [Fact]
    public async Task Reflection_OnEachSocket_ListsItsOwnServices()
    {
        string[] client = await Services(ClientChannel);
        string[] forOperators = await Services(OperatorChannel);

        Assert.Contains("barbroker.v1.LeaseService", client);
        Assert.DoesNotContain("barbroker.v1.OperatorService", client);
        Assert.Contains("barbroker.v1.OperatorService", forOperators);
        Assert.DoesNotContain("barbroker.v1.LeaseService", forOperators);
        Assert.All([client, forOperators], services => Assert.Contains("grpc.health.v1.Health", services));
    }

    private static async Task<HealthCheckResponse.Types.ServingStatus> Check(Health.HealthClient client, string service) =>
        (await client.CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Cancellation)).Status;

    private async Task<(HttpStatusCode Status, string Text)> Get(string path)
    {
        using var http = new HttpClient();
        var response = await http.GetAsync(new Uri(new Uri(Broker.MetricsUrl), path), Cancellation);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }

    private static async Task<string[]> Services(ChannelBase channel)
    {
        using var call = new ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo(cancellationToken: Cancellation);
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "" }, Cancellation);
        var services = (await Next(call.ResponseStream, "the list of services")).ListServicesResponse.Service.Select(service => service.Name).ToArray();
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { FileContainingSymbol = services.First(name => name.StartsWith("barbroker", StringComparison.Ordinal)) }, Cancellation);
        Assert.NotEmpty((await Next(call.ResponseStream, "the descriptors")).FileDescriptorResponse.FileDescriptorProto);
        await call.RequestStream.CompleteAsync();
        return services;
    }
}
