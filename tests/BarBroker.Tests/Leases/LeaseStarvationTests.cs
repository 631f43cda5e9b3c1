// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

/// <summary>
/// Every lease ends some time after its grant, and newcomers of higher priority never cease. Then whoever has waited for <see cref="LeaseOptions.WaitPatience"/> is served after as many
/// of those times as there are requests ahead of it, and one more: those ahead have their turns one after the other, and each turn only waits for leases that are there already.
/// </summary>
public sealed class LeaseStarvationTests
{
    private const int PageCount = 8;
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    [Fact]
    public void Starvation_NewcomersOfHigherPriorityForEver_EachIsServedWithinTheBound()
    {
        int seniors = 0;
        var newcomer = Gen.Select(Gen.Int[1, 10], Gen.Int[0, 3], Gen.Int[0, PageCount - 1], Gen.Int[1, 4]);
        Gen.Select(Gen.Bool, Gen.Int[1, PageCount], newcomer.Array[160]).Sample((isWhole, size, newcomers) =>
        {
            using var f = new LeaseFixture(Options(), new FakeDevice("dev0", isWhole ? RevocationDomain.Device : RevocationDomain.Selective, PageCount * Page));
            var until = new Dictionary<string, TimeSpan>();
            var bounds = new Dictionary<int, TimeSpan>();
            TimeSpan now = TimeSpan.Zero;
            int pid = 0;
            // The patient ones: of the lowest priority, and for the most room.
            Ask(f, Sized((ulong)size * Page), 0, ++pid);
            Ask(f, Explicit(Pages(0, PageCount)), 0, ++pid);
            foreach (var (priority, kind, start, length) in newcomers)
            {
                if (f.Manager.Device("dev0").Waiting < 12)
                    Ask(f, MakeRequest(kind, start, length), priority, ++pid);
                f.Pass(Step);
                now += Step;
                EndWhatWasHeld(f, until, now);
                foreach (WaiterInfo waiter in f.Manager.Waiting(LeaseFilter.All))
                {
                    if (waiter.Waited < Patience)
                        continue;
                    if (bounds.TryAdd(waiter.Owner.Pid, now + (Hold * waiter.Position)))
                        seniors++;
                    Assert.True(now <= bounds[waiter.Owner.Pid], $"process {waiter.Owner.Pid}, of priority {waiter.Priority}, waits at position {waiter.Position} since {waiter.Waited}");
                }
            }
        }, iter: 60, threads: 1);
        Assert.True(seniors > 100, $"only {seniors} had waited for long");
    }

    private static void EndWhatWasHeld(LeaseFixture f, Dictionary<string, TimeSpan> until, TimeSpan now)
    {
        foreach (LeaseInfo lease in f.Manager.List(LeaseFilter.All))
        {
            if (until.TryAdd(lease.Id, now + Hold - Step) || until[lease.Id] > now)
                continue;
            f.Manager.End(lease.Id, EndReason.Released, "");
        }

        f.Pump();
    }

    private static AcquireRequest MakeRequest(int kind, int start, int length) => kind switch
    {
        0 => Explicit(Pages((ulong)start, (ulong)Math.Min(length, PageCount - start))),
        1 => Explicit(Pages((ulong)start, (ulong)Math.Min(length, PageCount - start))) with { Access = BufferAccess.ReadOnly },
        2 => Sized((ulong)length * Page) with { Access = BufferAccess.ReadOnly },
        _ => Sized((ulong)length * Page),
    };

    /// <summary>Each by a user of its own, so that no quota is in the way.</summary>
    private static void Ask(LeaseFixture f, AcquireRequest request, int priority, int pid)
    {
        _ = f.Manager.AcquireAsync(request with { Priority = priority, Wait = TimeSpan.FromHours(1) }, Owner(1000 + (uint)pid, pid), CancellationToken.None).AsTask();
        f.Pump();
    }

    private static LeaseOptions Options() => new()
    {
        WaitPatience = Patience,
        Rules = [new PolicyRule("r", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10, MayPreempt = true, RecallGrace = TimeSpan.FromSeconds(1) })],
    };
}
