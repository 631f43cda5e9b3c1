// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;
using Grpc.Core;

namespace BarBroker.Client.Tests.Tracing;

/// <summary>Three processes: a client that sends its spans itself, the daemon, which sends its own, and barctl. A collector gets them all.</summary>
public sealed class ProcessTraceTests : ClientTestBase
{
    private const string Client = "traced-lease";
    private const string Daemon = "barbrokerd";

    [Fact]
    public async Task Lease_OfAnotherProcess_SpansOfBothAreInOneTrace()
    {
        var (receiver, broker) = await StartAsync();
        using var client = await TracedProcess.StartSampleAsync(broker, receiver);

        Assert.Equal(0, await client.EndAsync());

        var asked = await SpanAsync(Client, "lease acquire");
        var released = await SpanAsync(Client, "lease release");
        var acquired = await SpanAsync(Daemon, "lease acquire");
        var handedOver = await SpanAsync(Daemon, "lease hand-over");
        var revoked = await SpanAsync(Daemon, "lease revoke");
        var job = await receiver.FirstAsync(span => span.TraceId == client.TraceId && span.Name == "job", "the program's own");
        Assert.All([asked, released, acquired, handedOver, revoked], span => Assert.Equal(client.TraceId, span.TraceId));
        Assert.Equal((job.Id, asked.Id, asked.Id), (asked.Parent, released.Parent, acquired.Parent));
        Assert.Equal((acquired.Id, acquired.Id), (handedOver.Parent, revoked.Parent));
        Assert.Equal("Released", revoked.Tags["barbroker.end_reason"]);

        Task<OtlpSpan> SpanAsync(string service, string name) =>
            receiver.FirstAsync(span => span.Service == service && span.Name == name && span.Tags.GetValueOrDefault("barbroker.lease") == client.Lease, $"{name} of {service}");
    }

    [Fact]
    public async Task OperatorCalls_ByBarctl_AreLinkedWithTheLeasesTraces()
    {
        var (receiver, broker) = await StartAsync();
        string[][] commands =
        [
            ["lease", "recall", "LEASE", "--grace", "200ms"],
            ["lease", "revoke", "LEASE"],
            ["device", "reset", "sim0", "--yes"],
            ["device", "cordon", "sim0"],
            ["device", "uncordon", "sim0"],
            ["device", "drain", "sim0"],
        ];
        var leases = new Dictionary<string, (string Id, string TraceId)>();
        TracedProcess? client = null;
        foreach (string[] command in commands)
        {
            // What ends no lease is told of the one that is ended after it.
            client ??= Own(await TracedProcess.StartSampleAsync(broker, receiver));
            leases[command[1]] = (client.Lease, client.TraceId);
            Assert.Equal(0, await TracedProcess.BarctlAsync(broker, [.. command.Select(word => word == "LEASE" ? client.Lease : word)]));
            if (!command[1].EndsWith("cordon", StringComparison.Ordinal))
            {
                Assert.Equal(0, await client.EndAsync());
                client = null;
            }
        }

        foreach (var (name, lease) in leases)
        {
            var call = await receiver.FirstAsync(span => span.Name == $"operator {name}", $"operator {name}");
            Assert.Equal((Daemon, "", lease.TraceId, lease.Id, ""), (call.Service, call.Parent, Assert.Single(call.LinkedTraces), call.Tags["barbroker.lease"], call.Failure));
            Assert.NotEqual(lease.TraceId, call.TraceId);
            if (!name.EndsWith("cordon", StringComparison.Ordinal))
            {
                var revoke = await receiver.FirstAsync(span => span.Name == "lease revoke" && span.Tags["barbroker.lease"] == lease.Id, $"the revoke of {name}");
                Assert.Equal((lease.TraceId, call.TraceId), (revoke.TraceId, Assert.Single(revoke.LinkedTraces)));
            }
        }
    }

    [Fact]
    public async Task OperatorCalls_ByBarctlWithACollector_AreInItsTraceAndInThatOfWhoCallsIt()
    {
        var (receiver, broker) = await StartAsync();
        const string Trace = "44f7651916cd43dd8448eb211c80319c";
        (string, string)[] environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Endpoint), ("TRACEPARENT", $"00-{Trace}-44ad6b7169203331-01")];

        Assert.Equal(0, await TracedProcess.BarctlAsync(broker, environment, "device", "cordon", "sim0"));
        Assert.NotEqual(0, await TracedProcess.BarctlAsync(broker, environment, "device", "cordon", "none"));
        Assert.Equal(0, await TracedProcess.BarctlAsync(broker, environment[..1], "device", "uncordon", "sim0"));

        var command = await receiver.FirstAsync(static span => span is { Service: "barctl", Name: "barctl device cordon", Failure: "" }, "the command");
        var call = await receiver.FirstAsync(static span => span is { Name: "operator cordon", Failure: "" }, "the call");
        Assert.Equal((Trace, "44ad6b7169203331"), (command.TraceId, command.Parent));
        Assert.Equal((Daemon, Trace, command.Id), (call.Service, call.TraceId, call.Parent));
        var failed = await receiver.FirstAsync(static span => span is { Service: "barctl", Failure.Length: > 0 }, "the command that was refused");
        Assert.StartsWith("exit status ", failed.Failure, StringComparison.Ordinal);
        var alone = await receiver.FirstAsync(static span => span is { Service: "barctl", Name: "barctl device uncordon" }, "the command that nobody traces");
        Assert.Equal(("", alone.TraceId), (alone.Parent, (await receiver.FirstAsync(static span => span.Name == "operator uncordon", "its call")).TraceId));
    }

    [Fact]
    public async Task OperatorCalls_RefusedOrOfATraceOfTheirOwn_SaySo()
    {
        var (receiver, broker) = await StartAsync();
        const string Trace = "33f7651916cd43dd8448eb211c80319c";
        var headers = new Metadata { { "traceparent", $"00-{Trace}-33ad6b7169203331-01" } };

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await Operator(broker).CordonDeviceAsync(new V1.CordonDeviceRequest { Device = "no such" }, headers, cancellationToken: Cancellation));
        await Operator(broker).ResetDeviceAsync(new V1.ResetDeviceRequest { Device = "sim0", DryRun = true }, headers, cancellationToken: Cancellation);
        await Operator(broker).UncordonDeviceAsync(new V1.UncordonDeviceRequest { Device = "sim0" }, headers, cancellationToken: Cancellation);

        var refused = await receiver.FirstAsync(static span => span.Name == "operator cordon", "operator cordon");
        var done = await receiver.FirstAsync(static span => span.Name == "operator uncordon", "operator uncordon");
        Assert.Equal((Trace, "33ad6b7169203331", "no such", refusal.Status.Detail), (refused.TraceId, refused.Parent, refused.Tags["barbroker.device"], refused.Failure));
        Assert.Equal((Trace, "33ad6b7169203331", "sim0", ""), (done.TraceId, done.Parent, done.Tags["barbroker.device"], done.Failure));
        Assert.Empty(refused.LinkedTraces.Concat(done.LinkedTraces));
    }

    private async Task<(OtlpReceiver Receiver, BrokerProcess Broker)> StartAsync()
    {
        var receiver = Own(await OtlpReceiver.StartAsync());
        return (receiver, Own(await BrokerProcess.StartAsync($"{BrokerProcess.OneDevice}, \"otlp\": {{ \"endpoint\": \"{receiver.Endpoint}\" }}")));
    }
}
