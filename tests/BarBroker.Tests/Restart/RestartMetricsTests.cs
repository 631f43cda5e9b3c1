// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Restart;
using BarBroker.Testing;

namespace BarBroker.Tests.Restart;

[Collection(typeof(Alone))]
public sealed class RestartMetricsTests : TestBase
{
    [Fact]
    public void Instruments_WithoutAStore_AreThereAndZero()
    {
        using var reader = new MetricsReader();

        Assert.Equal(0, reader.Read("barbroker.store.fds"));
        Assert.Equal(0, reader.Read("barbroker.store.max.fds"));
        Assert.Equal(0, reader.Read("barbroker.store.failures", "full"));
        Assert.Equal(0, reader.Read("barbroker.store.failures", "not_taken"));
        Assert.Equal(0, reader.Read("barbroker.restart.leases", "restored"));
        Assert.Equal(0, reader.Read("barbroker.restart.leases", "ended"));
    }

    [Fact]
    public void Store_IsFilled_CountsWhatItHasAndWhatItRefused()
    {
        using var reader = new MetricsReader();
        using var manager = new ManagerSocket();
        using var file = Memfd.Create("file", 1);
        var store = new DescriptorStore(new ServiceNotifier(manager.Path), 3, reader.Metrics, Logs.CreateLogger<DescriptorStore>());
        reader.Metrics.UseStore(store);

        store.Keep("L1", [file, file]);
        store.Keep("L2", [file, file]);
        store.Keep("L3", [file, file]);

        Assert.Equal(2, reader.Read("barbroker.store.fds"));
        Assert.Equal(3, reader.Read("barbroker.store.max.fds"));
        Assert.Equal(4, reader.Read("barbroker.store.failures", "full"));
        Assert.Equal(0, reader.Read("barbroker.store.failures", "not_taken"));
        store.Drop("L1");
        Assert.Equal(0, reader.Read("barbroker.store.fds"));
    }

    [Fact]
    public void TakenUp_AndRecordsWithoutLeases_AreEndedTogether()
    {
        using var reader = new MetricsReader();
        int records = 0;
        reader.Metrics.UseRecords(() => records);
        reader.Metrics.TakenUp(restored: 5, ended: 2);
        Assert.Equal(2, reader.Read("barbroker.restart.leases", "ended"));

        records = 3;

        Assert.Equal(5, reader.Read("barbroker.restart.leases", "restored"));
        Assert.Equal(5, reader.Read("barbroker.restart.leases", "ended"));
    }
}
