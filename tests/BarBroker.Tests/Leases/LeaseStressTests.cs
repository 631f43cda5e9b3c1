// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>Real threads against real device threads. The model test knows every order of steps, this one every interleaving of instructions that comes about.</summary>
public sealed class LeaseStressTests
{
    private const int Threads = 6;
    private const int Rounds = 400;

    [Fact]
    public async Task ManyThreads_EverythingAtOnce_LeavesNothingHeldAndTellsInOrder()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        FakeDevice[] devices = [new("dev0"), new("dev1", RevocationDomain.Device), new("dev2")];
        var options = new LeaseOptions { RevokeRetryMin = TimeSpan.FromMilliseconds(1), RevokeRetryMax = TimeSpan.FromMilliseconds(20) };
        await using var manager = new LeaseManager(options, devices.Select(static d => new DeviceRegistration(d, AllowSharing: true)), 1, TimeProvider.System);
        var observer = new OrderObserver();
        using IDisposable subscription = manager.Subscribe(observer);
        manager.Start();
        await manager.WaitFirstOpenAsync(token);
        // One revoke in sixteen fails at first.
        int calls = 0;
        devices[2].OnCall = call =>
        {
            if (call == nameof(IBarDevice.Revoke) && Interlocked.Increment(ref calls) % 16 == 0)
                throw new IOException("EBUSY");
        };

        await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => Task.Factory.StartNew(() => Client(manager, t, token), token, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
        devices[2].OnCall = null;
        foreach (LeaseInfo lease in manager.List(LeaseFilter.All))
            manager.End(lease.Id, EndReason.Operator, "");

        // Stuck ones are tried again by themselves; nothing tells when, so look until all are through, and told of, which may be a moment later.
        var deadline = Task.Delay(TimeSpan.FromSeconds(60), token);
        while (manager.Devices().Sum(static d => d.Leases) > 0 || observer.Last.Values.Any(static l => l != LeaseState.Ended))
        {
            Assert.False(deadline.IsCompleted, "waited 60 s for all leases to end");
            await Task.Delay(10, token);
        }

        Assert.All(devices, static d => Assert.Empty(d.Accessible));
        Assert.All(devices, static d => Assert.Empty(d.Violations));
        Assert.All(manager.Devices().SelectMany(static d => d.Bars), static b => Assert.Equal((b.Size, b.Size), (b.Free, b.LargestFree)));
        Assert.Empty(observer.Faults);
        Assert.Equal(manager.EndedCount, observer.Last.Count);
    }

    private static async Task Client(LeaseManager manager, int thread, CancellationToken token)
    {
        var random = new Random(thread);
        LeaseOwner owner = Owner((uint)(1000 + (thread % 3)), thread);
        for (int i = 0; i < Rounds; i++)
        {
            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(token);
            AcquireRequest request = random.Next(2) == 0 ? Sized((ulong)random.Next(1, 40) * Page) : Explicit(Pages((ulong)random.Next(200), (ulong)random.Next(1, 40)));
            request = request with { Device = $"dev{random.Next(3)}", Access = (BufferAccess)random.Next(2) };
            try
            {
                Task<Grant> acquire = manager.AcquireAsync(request, owner, cancel.Token).AsTask();
                if (random.Next(8) == 0)
                    await cancel.CancelAsync();
                Grant grant = await acquire;
                manager.Redeem(grant.Ticket.Span, owner.Uid);
                manager.Renew(grant.Lease.Id, owner.Uid, (ulong)i);
                await EndSomehow(manager, grant.Lease.Id, owner, random, token);
            }
            catch (LeaseException e) when (e.Error is LeaseError.NoRoom or LeaseError.Ended or LeaseError.NotFound or LeaseError.Unavailable or LeaseError.Denied)
            {
                // What the others are there for.
            }
            catch (OperationCanceledException) when (!token.IsCancellationRequested)
            {
            }

            if (random.Next(50) == 0)
            {
                manager.OwnerExited(owner);
                owner = Owner(owner.Uid, owner.Pid + 100);
            }
        }

        manager.OwnerExited(owner);
    }

    private static async Task EndSomehow(LeaseManager manager, string id, LeaseOwner owner, Random random, CancellationToken token)
    {
        switch (random.Next(6))
        {
            case 0:
                manager.End(id, EndReason.Operator, "stress");
                break;
            case 1:
                manager.Recall(id, TimeSpan.FromMilliseconds(random.Next(1, 20)), EndReason.Preempted, "stress");
                await manager.WaitEndedAsync(id, token);
                break;
            case 2 when random.Next(10) == 0:
                await manager.ResetDeviceAsync(manager.Get(id).Device, "stress", token);
                break;
            case 3:
                break;
            default:
                LeaseInfo lease = await manager.ReleaseAsync(id, owner.Uid, token);
                Assert.True(lease.State is LeaseState.Ended or LeaseState.Stuck);
                break;
        }
    }

    /// <summary>Sees whether the changes of each lease come in order.</summary>
    private sealed class OrderObserver : ILeaseObserver
    {
        private int _inside;

        public ConcurrentDictionary<string, LeaseState> Last { get; } = new();

        public List<string> Faults { get; } = [];

        public void LeaseChanged(LeaseInfo lease)
        {
            if (Interlocked.Increment(ref _inside) != 1)
                Faults.Add("told by two threads at a time");
            LeaseState before = Last.GetValueOrDefault(lease.Id);
            bool forward = Rank(lease.State) > Rank(before) || (lease.State == LeaseState.Stuck && before == LeaseState.Stuck);
            if (!forward || (before == default && lease.State != LeaseState.Granted))
                Faults.Add($"{lease.Id}: {before} then {lease.State}");
            Last[lease.Id] = lease.State;
            Interlocked.Decrement(ref _inside);
        }

        public void DeviceChanged(DeviceInfo device)
        {
        }

        private static int Rank(LeaseState state) => state switch { LeaseState.Stuck => 5, LeaseState.Ended => 6, _ => (int)state };
    }
}
