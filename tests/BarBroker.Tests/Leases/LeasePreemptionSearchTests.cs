// SPDX-License-Identifier: Apache-2.0

using System.Numerics;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using CsCheck;
using static BarBroker.Tests.Leases.LeaseFixture;
using static BarBroker.Tests.Leases.LeaseWaitTests;

namespace BarBroker.Tests.Leases;

/// <summary>The fewest and youngest victims over all buffers of a request together.</summary>
public sealed class LeasePreemptionSearchTests
{
    private const uint Boss = 1;
    private const uint Limited = 2;
    private const int PageCount = 8;

    [Fact]
    public void Preempt_TwoBuffers_OneLeaseThatHoldsInBothRatherThanTwo()
    {
        using var f = Fixture(4);
        LeaseInfo inBoth = f.Active(Request(Named(0, 0, 4), Named(2, 0, 8)));
        LeaseInfo youngest = f.Active(Request(Named(2, 8, 8)));

        Begin(f, Request(new BufferRequest(2, [], 8 * Page), new BufferRequest(0, [], 4 * Page)) with { Priority = 5 }, Owner(Boss));

        // Alone, the first buffer would have taken the younger one.
        Assert.Equal((LeaseState.Recalled, LeaseState.Active), (f.Get(inBoth.Id).State, f.Get(youngest.Id).State));
    }

    [Fact]
    public void Preempt_TwoWaitersAtOnce_TheSecondUsesWhatTheFirstTakes()
    {
        using var f = Fixture(8);
        f.Active(Request(Named(2, 0, 32)) with { Priority = 5 });
        LeaseInfo wide = f.Active(Explicit(Pages(0, 4)));
        LeaseInfo other = f.Active(Explicit(Pages(4, 4)));
        f.Manager.Cordon("dev0", "");
        Begin(f, Explicit(Pages(0, 2)) with { Priority = 5 }, Owner(Boss));
        Begin(f, Sized(2 * Page) with { Priority = 4 }, Owner(Boss, 101));
        f.Manager.Uncordon("dev0");

        Assert.Equal((LeaseState.Recalled, LeaseState.Active), (f.Get(wide.Id).State, f.Get(other.Id).State));
    }

    [Fact]
    public void Preempt_LeaseElsewhereIsRecalled_ItsPlaceIsKeptFromNewcomers()
    {
        using var f = new LeaseFixture(Options(), new FakeDevice("dev0", barSize: 4 * Page), new FakeDevice("dev1", barSize: 4 * Page));
        f.Active(Explicit(Pages(0, 4)) with { Priority = 9 });
        LeaseInfo goes = f.Active(Explicit(Pages(0, 2)) with { Device = "dev1", Priority = 9 });
        Task<Grant> boss = Begin(f, Sized(3 * Page) with { Device = "", Priority = 5 }, Owner(Boss));

        f.Manager.Recall(goes.Id, TimeSpan.FromSeconds(1), EndReason.Operator, "");

        // It would only be recalled again, for the one that waits.
        Assert.Equal(LeaseError.NoRoom, f.Refused(Sized(2 * Page) with { Device = "dev1" }).Error);
        f.Pass(TimeSpan.FromSeconds(1));
        f.Pump();
        Assert.Equal("dev1", Wait(boss).Lease.Device);
    }

    [Fact]
    public void Preempt_DeviceRevokedAsAWholeHasRoom_NobodyIsRecalledElsewhere()
    {
        using var f = new LeaseFixture(Options(), [
            new DeviceRegistration(new FakeDevice("dev0", barSize: 4 * Page)),
            new DeviceRegistration(new FakeDevice("dev1", RevocationDomain.Device, 4 * Page), AllowSharing: true)]);
        LeaseInfo low = f.Active(Explicit(Pages(0, 4)));
        LeaseInfo goes = f.Active(Explicit(Pages(0, 1)) with { Device = "dev1" });
        f.Active(Explicit(Pages(3, 1)) with { Device = "dev1", Priority = 9 });
        f.Manager.Recall(goes.Id, TimeSpan.FromSeconds(1), EndReason.Operator, "");
        f.Manager.Cordon("dev1", "");

        Begin(f, Sized(Page) with { Device = "", Priority = 5 }, Owner(Boss));

        // The first page of dev1 would be had for nothing, were it not for the other lease there.
        Assert.Equal(LeaseState.Active, f.Get(low.Id).State);
    }

    [Fact]
    public void Preempt_UserOfTheOneAheadIsServedElsewhere_NobodyWasRecalledForThatMoment()
    {
        using var f = new LeaseFixture(Options(), new FakeDevice("dev0", barSize: 2 * Page), new FakeDevice("dev1", barSize: Page), new FakeDevice("dev2", barSize: Page));
        LeaseInfo goes = f.Active(Explicit(Pages(0, 1)));
        LeaseInfo low = f.Active(Explicit(Pages(1, 1)));
        // The one lease that its user may have.
        LeaseInfo only = f.Active(Explicit(Pages(0, 1)) with { Device = "dev1" }, Owner(Limited));
        Begin(f, Sized(Page) with { Priority = 7 }, Owner(Limited));
        Task<Grant> elsewhere = Begin(f, Sized(Page) with { Device = "dev2" }, Owner(Limited));
        f.Manager.End(goes.Id, EndReason.Operator, "");
        // Its device does not answer before the other one does.
        _ = f.Manager.AcquireAsync(Sized(Page) with { Priority = 5, Wait = TimeSpan.FromMinutes(1) }, Owner(Boss), CancellationToken.None).AsTask();

        f.Manager.End(only.Id, EndReason.Operator, "");
        f.Executor("dev1").Pump();
        f.Executor("dev2").Pump();

        // For a moment the first place of dev0 was to be that of the user with one lease; then that was another.
        Assert.Equal("dev2", Wait(elsewhere).Lease.Device);
        Assert.Equal(LeaseState.Active, f.Get(low.Id).State);
    }

    /// <summary>Against trying every combination of windows in two small BARs, with leases that hold in both.</summary>
    [Fact]
    public void Preempt_SeveralBuffers_TakesAsFewAndAsYoungAsAnyCombinationWould()
    {
        var piece = Gen.Select(Gen.Int[0, 1], Gen.Int[0, PageCount - 1], Gen.Int[1, 3]);
        var lease = Gen.Select(piece.Array[1, 2], Gen.Int[0, 4]);
        var request = Gen.Select(Gen.Int[0, 1], Gen.Int[1, 4], Gen.Int[0, 1], Gen.Int[0, 5], Gen.Int[0, PageCount - 1]).Array[2, 3];
        int preempted = 0;
        Gen.Select(lease.Array[2, 9], request).Sample((held, wanted) =>
        {
            using var f = Fixture(PageCount);
            // The other BAR is larger; what is too much is taken by somebody who stays.
            f.Active(Request(Named(2, PageCount, 3 * PageCount)) with { Priority = 9 });
            var leases = new List<Held>();
            foreach (var (pieces, priority) in held)
            {
                BufferRequest[] buffers = [.. pieces.Select(static p => Named(2 * p.Item1, (ulong)p.Item2, (ulong)Math.Min(p.Item3, PageCount - p.Item2)))];
                if (Masks(buffers) is { } masks && leases.TrueForAll(l => (l.Low & masks.Low) == 0 && (l.High & masks.High) == 0))
                    leases.Add(new Held(masks.Low, masks.High, f.Active(Request(buffers) with { Priority = priority })));
            }

            BufferRequest[] buffersWanted = [.. wanted.Select(static w => w.Item4 > 0
                ? new BufferRequest(2 * w.Item1, [], (ulong)w.Item2 * Page, Page << w.Item3)
                : Named(2 * w.Item1, (ulong)w.Item5, (ulong)Math.Min(w.Item2, PageCount - w.Item5)))];
            if (NamedOverlap(buffersWanted))
                return;
            (int Weight, ulong Age)? best = Best(leases, buffersWanted, 0, 0, 0);
            Begin(f, Request(buffersWanted) with { Priority = 3 }, Owner(Boss));
            LeaseInfo[] victims = [.. f.Manager.List(LeaseFilter.All with { States = [LeaseState.Recalled] })];

            Assert.Equal(best?.Weight ?? 0, victims.Length);
            if (victims.Length > 0)
                Assert.Equal(best!.Value.Age, victims.Min(static v => v.Epoch));
            preempted += victims.Length > 0 ? 1 : 0;
            foreach (LeaseInfo victim in victims)
                f.Manager.End(victim.Id, EndReason.Released, "");
            f.Pump();
            Assert.Equal(best is null, f.Manager.Waiting(LeaseFilter.All).Length > 0);
        }, iter: 2000, threads: 1);
        Assert.True(preempted > 100, $"only {preempted} of the histories preempted");
    }

    /// <summary>Tries all; pages are bits.</summary>
    private static (int Weight, ulong Age)? Best(List<Held> leases, BufferRequest[] wanted, int index, uint low, uint high)
    {
        if (index == wanted.Length)
        {
            Held[] there = [.. leases.Where(l => (l.Low & low) != 0 || (l.High & high) != 0)];
            if (Array.Exists(there, static l => l.Lease.Priority >= 3))
                return null;
            return (there.Length, there.Select(static l => l.Lease.Epoch).DefaultIfEmpty(ulong.MaxValue).Min());
        }

        BufferRequest buffer = wanted[index];
        (int Weight, ulong Age)? best = null;
        ulong size = buffer.Size == 0 ? buffer.Ranges[0].Length : buffer.Size;
        ulong step = Math.Max(buffer.Alignment, Page);
        for (ulong offset = 0; offset + size <= PageCount * Page; offset += step)
        {
            if (buffer.Size == 0 && offset != buffer.Ranges[0].Offset)
                continue;
            uint mask = Mask(offset / Page, size / Page);
            if (((buffer.Bar == 0 ? low : high) & mask) != 0)
                continue;
            var found = buffer.Bar == 0 ? Best(leases, wanted, index + 1, low | mask, high) : Best(leases, wanted, index + 1, low, high | mask);
            if (found is { } f && (best is not { } b || f.Weight < b.Weight || (f.Weight == b.Weight && f.Age > b.Age)))
                best = f;
        }

        return best;
    }

    private static uint Mask(ulong first, ulong count) => ((1u << (int)count) - 1) << (int)first;

    private static bool NamedOverlap(BufferRequest[] buffers) => Masks([.. buffers.Where(static b => b.Size == 0)]) is null;

    /// <summary>Null if they overlap.</summary>
    private static (uint Low, uint High)? Masks(BufferRequest[] buffers)
    {
        uint[] masks = new uint[3];
        int pages = 0;
        foreach (BufferRequest buffer in buffers)
        {
            masks[buffer.Bar] |= Mask(buffer.Ranges[0].Offset / Page, buffer.Ranges[0].Length / Page);
            pages += (int)(buffer.Ranges[0].Length / Page);
        }

        return BitOperations.PopCount(masks[0]) + BitOperations.PopCount(masks[2]) == pages ? (masks[0], masks[2]) : null;
    }

    private static BufferRequest Named(int bar, ulong first, ulong count) => new(bar, [Pages(first, count)]);

    private static LeaseOptions Options() => new()
    {
        Rules =
        [
            new PolicyRule("boss", PolicyMatch.Everybody with { Users = [new NamedId(Boss, "")] }, Lease: new LeaseRule { MaxPriority = 10, MayPreempt = true, RecallGrace = TimeSpan.FromSeconds(10) }),
            new PolicyRule("limited", PolicyMatch.Everybody with { Users = [new NamedId(Limited, "")] }, Lease: new LeaseRule { MaxPriority = 10, MaxLeases = 1 }),
            new PolicyRule("rest", PolicyMatch.Everybody, Lease: new LeaseRule { MaxPriority = 10, RecallGrace = TimeSpan.FromSeconds(10) }),
        ],
    };

    private static LeaseFixture Fixture(int pages) => new(Options(), new FakeDevice("dev0", barSize: (ulong)pages * Page));

    private sealed record Held(uint Low, uint High, LeaseInfo Lease);
}
