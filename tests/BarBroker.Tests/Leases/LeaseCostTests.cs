// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Leases;
using BarBroker.Testing;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>What many leases cost. Sizes are asserted; times are only printed, because the machine is shared.</summary>
[Collection(typeof(Alone))]
public sealed class LeaseCostTests
{
    private const int Count = 10_000;

    [Fact]
    public void TenThousandLeases_Memory_IsUnderThreeKilobytesEach()
    {
        using var f = new LeaseFixture(new LeaseOptions { MaxLeasesPerUid = Count + 100 }, new FakeDevice("dev0", barSize: 256 << 20));
        LeaseOwner owner = Owner();
        for (int i = 0; i < 100; i++)
            f.Active(Sized(Page), owner);
        f.Told.Clear();
        long before = GC.GetTotalMemory(forceFullCollection: true);

        string[] ids = [.. Enumerable.Range(0, Count).Select(_ => Id(f.Active(Sized(Page), owner)))];
        f.Told.Clear();
        f.Told.TrimExcess();
        long each = (GC.GetTotalMemory(forceFullCollection: true) - before) / Count;

        TestContext.Current.TestOutputHelper?.WriteLine($"{each} bytes a lease");
        Assert.InRange(each, 1, 3 * 1024);
        var watch = Stopwatch.StartNew();
        foreach (string id in ids)
            f.Manager.Renew(id, 1000, 1);
        TestContext.Current.TestOutputHelper?.WriteLine($"{watch.Elapsed.TotalNanoseconds / Count:F0} ns a heartbeat");
        watch.Restart();
        for (int second = 0; second < 29; second++)
            f.Time.Advance(TimeSpan.FromSeconds(1));
        TestContext.Current.TestOutputHelper?.WriteLine($"{watch.Elapsed.TotalMicroseconds / 29:F0} µs a second of sweeps");
        Assert.Equal(Count + 100, f.Manager.List(LeaseFilter.All).Length);
    }

    [Fact]
    public async Task AcquireAndRelease_RealDeviceThread_CompletesEachTime()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await using var manager = new LeaseManager(new LeaseOptions(), [new DeviceRegistration(new FakeDevice("dev0"))], 1, TimeProvider.System);
        manager.Start();
        await manager.WaitFirstOpenAsync(token);
        LeaseOwner owner = Owner();
        var acquires = new List<double>();
        var releases = new List<double>();
        for (int i = 0; i < 3_000; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Grant grant = await manager.AcquireAsync(Sized(Page), owner, token);
            acquires.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            start = Stopwatch.GetTimestamp();
            Assert.Equal(LeaseState.Ended, (await manager.ReleaseAsync(grant.Lease.Id, 1000, token)).State);
            releases.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        acquires.Sort();
        releases.Sort();
        TestContext.Current.TestOutputHelper?.WriteLine($"acquire {acquires[1500]:F1} µs at the median, {acquires[2970]:F1} at p99; release {releases[1500]:F1}, {releases[2970]:F1}");
    }

    private static string Id(LeaseInfo lease) => lease.Id;
}
