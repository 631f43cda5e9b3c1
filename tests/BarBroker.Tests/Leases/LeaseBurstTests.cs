// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>Many leases that end at once, on a real device thread and the real clock: nothing is lost, doubled or told out of order.</summary>
public sealed class LeaseBurstTests
{
    private const int Count = 3_000;

    [Fact]
    public async Task Release_ThousandsAtOnce_EachIsRevokedOnceAndToldInOrder()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        var device = new FakeDevice("dev0", barSize: 2 * Count * Page);
        await using var manager = new LeaseManager(new LeaseOptions { MaxLeasesPerUid = 2 * Count }, [new DeviceRegistration(device)], 1, TimeProvider.System);
        manager.Start();
        await manager.WaitFirstOpenAsync(token);
        var told = new Diary();
        using IDisposable _ = manager.Subscribe(told);
        LeaseOwner owner = Owner();
        for (int i = 0; i < Count; i++)
            manager.Redeem((await manager.AcquireAsync(Sized(Page) with { Ttl = TimeSpan.FromMinutes(1) }, owner, token)).Ticket.Span, owner.Uid);

        // All of these ends are decided within some milliseconds, while others come and go.
        Task<LeaseInfo>[] releases = [.. manager.List(LeaseFilter.All).Select(l => manager.ReleaseAsync(l.Id, owner.Uid, token))];
        for (int i = 0; i < 200; i++)
            await manager.ReleaseAsync((await manager.AcquireAsync(Sized(Page), owner, token)).Lease.Id, owner.Uid, token);
        LeaseInfo[] ended = await Task.WhenAll(releases).WaitAsync(TimeSpan.FromMinutes(1), token);

        Assert.All(ended, static l => Assert.Equal((LeaseState.Ended, EndReason.Released), (l.State, l.EndReason)));
        await told.Ended(Count + 200).WaitAsync(TimeSpan.FromMinutes(1), token);
        Assert.Equal(Count + 200, told.States.Count);
        Assert.All(told.States.Values, static states => Assert.Equal([LeaseState.Revoking, LeaseState.Ended], states.SkipWhile(static s => s < LeaseState.Revoking)));
        Assert.Equal((Count + 200, device.BarSize), (device.Revokes, manager.Device("dev0").Bars[0].Free));
        Assert.Empty(device.Accessible);
        Assert.Empty(device.Violations);
    }

    private sealed class Diary : ILeaseObserver
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _wanted = int.MaxValue;
        private int _ended;

        // Changes are told one at a time.
        public ConcurrentDictionary<string, List<LeaseState>> States { get; } = new();

        public Task Ended(int count)
        {
            Volatile.Write(ref _wanted, count);
            Check();
            return _done.Task;
        }

        public void LeaseChanged(LeaseInfo lease)
        {
            States.GetOrAdd(lease.Id, static _ => []).Add(lease.State);
            if (lease.State == LeaseState.Ended)
                Interlocked.Increment(ref _ended);
            Check();
        }

        public void DeviceChanged(DeviceInfo device)
        {
        }

        private void Check()
        {
            if (Volatile.Read(ref _ended) >= Volatile.Read(ref _wanted))
                _done.TrySetResult();
        }
    }
}
