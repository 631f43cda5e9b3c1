// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Monitoring;

public sealed class PrometheusTests : TestBase
{
    private const string Stuck = "BarBrokerRevokeStuck";
    private const string Quarantined = "BarBrokerBytesQuarantined";
    private const string Down = "BarBrokerDown";

    [Fact]
    public async Task Alerts_RevokeGetsStuckThenConfirmedThenBrokerGone_FireAndClear()
    {
        var directory = Own(new TestDirectory());
        string faults = directory.File("faults");
        string configuration = new BrokerConfiguration().Device("sim0", "1MiB", faults).Set("metrics", "enabled", true).Set("metrics", "address", "127.0.0.1:0")
            .Set("leases", "revokeTimeout", "100ms").Write(directory.Path);
        var broker = Own(await Daemon.StartAsync(directory.Path, configuration));
        using var admin = RpcClient.Dial(broker.OperatorSocket);
        using var client = RpcClient.Dial(broker.ClientSocket);
        string target = new Uri((await admin.Operator.GetStatusAsync(new GetStatusRequest())).MetricsUrl).Authority;
        var prometheus = Own(await Prometheus.StartAsync(directory.Path, target));
        await prometheus.WaitAsync([], [Stuck, Quarantined, Down], "a healthy broker");

        await File.WriteAllTextAsync(faults, "revoke stuck\n", Cancellation);
        var lease = (await client.Leases.AcquireAsync(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } })).Lease;
        using (admin.Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id }, NoWait = true }))
        {
            await prometheus.WaitAsync([Stuck, Quarantined], [Down], "a stuck revoke");
        }

        File.Delete(faults);
        await prometheus.WaitAsync([], [Stuck, Quarantined, Down], "the revoke is confirmed");

        await broker.StopAsync();
        await prometheus.WaitAsync([Down], [Stuck, Quarantined], "the broker is gone");
    }
}
