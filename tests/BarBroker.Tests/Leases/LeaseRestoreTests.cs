// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Testing;

namespace BarBroker.Tests.Leases;

/// <summary>What the lease book makes of the records of an earlier run.</summary>
[Collection(typeof(Alone))]
public sealed class LeaseRestoreTests : IDisposable
{
    private const string Boot = "11111111-2222-3333-4444-555555555555";
    private static readonly LeaseClock Clock = new(new VirtualTime());

    private readonly FakeDevice _device = new("dev0") { HasFiles = true };
    private readonly LeaseBoard _board = LeaseBoard.Create(Boot);
    private readonly LeaseFixture _fixture;
    private readonly List<Memfd> _files = [];
    private readonly FakeKeeper _keeper = new();
    private readonly LeaseOwner _owner = LeaseFixture.Owner();

    public LeaseRestoreTests()
    {
        _fixture = new LeaseFixture(new LeaseOptions(), [new DeviceRegistration(_device)], firstEpoch: 1000, start: false);
        _fixture.Manager.UseKeeper(_keeper, _board);
    }

    [Fact]
    public void Restore_LiveLease_GoesOnAsItWas()
    {
        var lease = Start(Kept(7) with { Labels = ImmutableDictionary<string, string>.Empty.Add("a", "b"), PolicyRule = "gone", Priority = 3 }).Single();

        Assert.Equal((LeaseState.Active, 7ul, "gone", 3), (lease.State, lease.Epoch, lease.PolicyRule, lease.Priority));
        Assert.Equal((TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30)), (lease.Remaining, lease.Ttl));
        Assert.Equal("b", lease.Labels["a"]);
        Assert.Equal(LeaseFixture.Pages(0, 1), lease.Buffers[0].Ranges[0]);
        Assert.Equal((1, 0), (_device.Restores, _device.Opens));
        Assert.Equal(LeaseError.NoRoom, _fixture.Refused(LeaseFixture.Explicit(LeaseFixture.Pages(0, 1))).Error);
        Assert.Equal(1000ul, _fixture.Active(LeaseFixture.Explicit(LeaseFixture.Pages(1, 1))).Epoch);
    }

    [Fact]
    public void Restore_LiveLease_EndsByItsOldDeadlineAndNotLater()
    {
        Start(Kept(7));

        _fixture.Pass(TimeSpan.FromSeconds(9.5));
        Assert.Equal(LeaseState.Active, Get(7).State);
        _fixture.Pass(TimeSpan.FromSeconds(0.6));
        _fixture.Pump();

        Assert.Equal((LeaseState.Ended, EndReason.Expired), (Get(7).State, Get(7).EndReason));
        Assert.Contains("L0007", _keeper.Dropped);
        Assert.Empty(_board.Found());
    }

    [Fact]
    public void Restore_Renewed_LivesOn()
    {
        Start(Kept(7));

        Assert.Equal(TimeSpan.FromSeconds(30), _fixture.Manager.Renew(LeaseId.FromEpoch(7), _owner.Uid, 1).Remaining);
        Assert.Equal(Clock.Units(TimeSpan.FromSeconds(30)) + Now, Assert.Single(_board.Found()).TtlDeadline);
    }

    [Fact]
    public void Restore_DeadlinePassedMeanwhile_EndsAtOnceAsExpired()
    {
        Start(Kept(7, remaining: TimeSpan.FromSeconds(-1)), Kept(8, page: 1));

        Assert.Equal((LeaseState.Ended, EndReason.Expired), (Get(7).State, Get(7).EndReason));
        Assert.Equal(LeaseState.Active, Get(8).State);
        Assert.Equal(1, _device.Revokes);
    }

    [Fact]
    public void Restore_OwnerExitedMeanwhile_EndsForThat()
    {
        _fixture.Manager.OwnerExited(_owner);

        Start(Kept(7));

        Assert.Equal((LeaseState.Ended, EndReason.ClientExited), (Get(7).State, Get(7).EndReason));
    }

    [Theory]
    [InlineData(LeaseState.Revoking)]
    [InlineData(LeaseState.Stuck)]
    public void Restore_EndWasDecided_GoesOnBeingRevoked(int state)
    {
        _device.FailRevoke = true;
        Start(Kept(7) with { State = (LeaseState)state, EndReason = EndReason.Operator, EndDetail = "in the way" });

        Assert.Equal((LeaseState.Stuck, EndReason.Operator, "in the way"), (Get(7).State, Get(7).EndReason, Get(7).EndDetail));
        Assert.Equal(FakeDevice.Page, _fixture.Manager.Device("dev0").Bars[0].Quarantined);
        _device.FailRevoke = false;
        _fixture.Pass(TimeSpan.FromSeconds(5));
        _fixture.Pump();
        Assert.Equal((LeaseState.Ended, EndReason.Operator), (Get(7).State, Get(7).EndReason));
        Assert.Equal(0ul, _fixture.Manager.Device("dev0").Bars[0].Quarantined);
    }

    [Fact]
    public void Restore_EndWasDecidedAndNotWrittenDown_TheBoardKnows()
    {
        var kept = Kept(7);
        kept.Board.Place.End(EndReason.Operator);

        Start(kept with { Board = _board.Found().Single() });

        Assert.Equal((LeaseState.Ended, EndReason.Operator), (Get(7).State, Get(7).EndReason));
    }

    [Fact]
    public void Restore_Granted_TicketExpiresAsAlways()
    {
        var kept = Kept(7) with { State = LeaseState.Granted };
        Start(kept with { Marks = kept.Marks with { Fetched = false, TicketDeadline = Now + Clock.Units(TimeSpan.FromSeconds(3)), RequestId = "once" } });

        var again = _fixture.Acquire(LeaseFixture.Sized(FakeDevice.Page) with { RequestId = "once" }, _owner);
        Assert.Equal((7ul, false), (again.Lease.Epoch, again.Ticket.IsEmpty));
        _fixture.Pass(TimeSpan.FromSeconds(10.5));
        _fixture.Pump();
        Assert.Equal(LeaseState.Ended, Get(7).State);
    }

    [Fact]
    public void Restore_Recalled_IsRevokedAtItsDeadline()
    {
        var kept = Kept(7) with { State = LeaseState.Recalled, RecallReason = EndReason.Preempted, RecallDetail = "another one" };
        var lease = Start(kept with { Marks = kept.Marks with { RecallDeadline = Now + Clock.Units(TimeSpan.FromSeconds(2)) } }).Single();

        Assert.Equal((LeaseState.Recalled, EndReason.Preempted), (lease.State, lease.RecallReason));
        _fixture.Pass(TimeSpan.FromSeconds(2.1));
        _fixture.Pump();
        Assert.Equal((LeaseState.Ended, EndReason.Preempted), (Get(7).State, Get(7).EndReason));
    }

    [Fact]
    public void Restore_TwoRecordsOverTheSameByte_BothEndWithTheDevice()
    {
        Start(Kept(7), Kept(8), Kept(9, page: 1));

        Assert.All([7ul, 8ul, 9ul], epoch => Assert.Equal((LeaseState.Ended, EndReason.BrokerRestart), (Get(epoch).State, Get(epoch).EndReason)));
        Assert.Contains("the same bytes", Get(7).EndDetail, StringComparison.Ordinal);
        ClosedWholly();
    }

    [Fact]
    public void Restore_ReadersOfTheSameByte_ShareIt()
    {
        Start(Kept(7) with { Access = BufferAccess.ReadOnly }, Kept(8) with { Access = BufferAccess.ReadOnly, State = LeaseState.Revoking, EndReason = EndReason.Released });

        Assert.Equal(LeaseState.Active, Get(7).State);
        Assert.Equal(LeaseState.Ended, Get(8).State);
    }

    [Theory]
    [InlineData(3, 0ul, 1ul)]
    [InlineData(0, 1ul << 20, 4096ul)]
    [InlineData(0, 0ul, 100ul)]
    [InlineData(0, 4096ul, ulong.MaxValue - 4095)]
    public void Restore_RecordThatTheDeviceCannotHave_EndsTheDevice(int bar, ulong offset, ulong length)
    {
        Start(Kept(7) with { Buffers = [new LeaseBuffer(bar, [new BarRange(offset, length)], length)] }, Kept(8, page: 1));

        Assert.Equal((LeaseState.Ended, EndReason.BrokerRestart), (Get(8).State, Get(8).EndReason));
        ClosedWholly();
    }

    [Fact]
    public void Restore_BufferThatTheDeviceDoesNotTake_EndsTheDevice()
    {
        _device.FailAdopt = static _ => true;

        Start(Kept(7));

        Assert.Equal((LeaseState.Ended, EndReason.BrokerRestart), (Get(7).State, Get(7).EndReason));
        ClosedWholly();
    }

    [Fact]
    public void Restore_DeviceThatIsSomethingElse_IsLetGoAndOpenedAnew()
    {
        _device.FailRestore = true;

        Start(Kept(7));

        Assert.Throws<LeaseException>(() => Get(7));
        Assert.Equal((1, 1), (_device.Opens, _device.Discarded));
        Assert.Contains("L0007", _keeper.Dropped);
        Assert.Contains("D4/fake/dev0", _keeper.Dropped);
        Assert.Empty(_board.Found());
        Assert.Equal(LeaseState.Active, _fixture.Active(LeaseFixture.Sized(FakeDevice.Page)).State);
    }

    [Fact]
    public void Restore_NotDoneYet_ItsLeasesAreAwaited()
    {
        _fixture.Manager.Inherit("dev0", Left(Kept(7)));
        _fixture.Manager.Start();

        var refusal = Assert.Throws<LeaseException>(() => Get(7));
        Assert.Equal((LeaseError.Unavailable, "ls-0007"), (refusal.Error, refusal.LeaseId));
        Assert.Contains("taken up with the 1 leases", _fixture.Manager.Device("dev0").Detail, StringComparison.Ordinal);
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => _fixture.Manager.Get("ls-0007", _owner.Uid + 1)).Error);
        Assert.Equal(LeaseError.NotFound, Assert.Throws<LeaseException>(() => Get(8)).Error);
        Assert.Equal([7ul], _fixture.Manager.Unaccounted());
        Assert.False(_fixture.Manager.Accounted.Single().Done.IsCompleted);

        _fixture.Pump();

        Assert.Equal(LeaseState.Active, Get(7).State);
        Assert.Empty(_fixture.Manager.Unaccounted());
        Assert.True(_fixture.Manager.Accounted.Single().Done.IsCompleted);
    }

    [Fact]
    public void Restore_LetGoAndCannotBeOpened_ItsLeasesAreUnaccountedForUntilItCan()
    {
        _device.FailRestore = true;
        _device.FailOpen = true;

        Start(Kept(7));

        Assert.Equal([7ul], _fixture.Manager.Unaccounted());
        Assert.Equal(7ul, Assert.Single(_board.Found()).Epoch);
        Assert.False(_fixture.Manager.Accounted.Single().Done.IsCompleted);
        _device.FailOpen = false;
        _fixture.Pass(TimeSpan.FromSeconds(10));
        _fixture.Pump();
        Assert.Empty(_fixture.Manager.Unaccounted());
        Assert.Empty(_board.Found());
        Assert.True(_fixture.Manager.Accounted.Single().Done.IsCompleted);
    }

    [Fact]
    public void Restore_LeaseThatWasJustBeingMade_IsOffTheBoardAndTheOthersGoOn()
    {
        // The next run would find it on the board and no open record of it, and believe nothing of the device.
        var place = _board.Take(8, "dev0")!;
        _fixture.Manager.Inherit("dev0", Left(Kept(7)) with { Lost = [place] });
        _fixture.Manager.Start();
        Assert.Equal([7ul, 8ul], _fixture.Manager.Unaccounted().Order());

        _fixture.Pump();

        Assert.Equal(7ul, Assert.Single(_board.Found()).Epoch);
        Assert.Empty(_fixture.Manager.Unaccounted());
        Assert.Equal(LeaseState.Active, Get(7).State);
    }

    [Fact]
    public void Restore_CloseFails_StaysQuarantinedUntilItDoesNot()
    {
        _device.FailAdopt = static _ => true;
        _device.FailClose = true;

        Start(Kept(7));

        Assert.Equal(LeaseState.Stuck, Get(7).State);
        Assert.Equal(LeaseError.Unavailable, _fixture.Refused(LeaseFixture.Sized(FakeDevice.Page)).Error);
        _device.FailClose = false;
        _fixture.Pass(TimeSpan.FromSeconds(10));
        _fixture.Pump();
        Assert.Equal((LeaseState.Ended, EndReason.BrokerRestart), (Get(7).State, Get(7).EndReason));
        ClosedWholly();
    }

    [Fact]
    public void Restore_StrayBuffer_IsRevoked()
    {
        Start([Kept(7, page: 1)], new PassedDescriptor("L0009", AnyFile()));

        Assert.Equal(1, _device.Revokes);
        Assert.Contains("L0009", _keeper.Dropped);
        Assert.Equal(LeaseState.Active, Get(7).State);
    }

    [Fact]
    public void Grant_WithAKeeper_KeepsBeforeTheTicketLeaves()
    {
        _fixture.Manager.Start();
        _fixture.Pump();
        var order = new List<string>();
        _keeper.Kept += order.Add;

        var grant = _fixture.Acquire(LeaseFixture.Sized(FakeDevice.Page));
        order.Add("answered");

        Assert.Equal([$"L{grant.Lease.Id[3..]}", "answered"], order);
        Assert.Equal(grant.Lease.Epoch, Assert.Single(_board.Found()).Epoch);
        _fixture.Manager.End(grant.Lease.Id, EndReason.Operator, "");
        _fixture.Pump();
        Assert.Contains($"L{grant.Lease.Id[3..]}", _keeper.Dropped);
        Assert.Empty(_board.Found());
    }

    [Theory]
    [InlineData("D")]
    [InlineData("L")]
    public void Leave_NoRoomForTheDeviceOrTheLease_TheLeaseEndsWithProof(string refused)
    {
        _keeper.Refused = refused;
        _fixture.Manager.Start();
        _fixture.Pump();
        var kept = new List<string>();
        _keeper.Kept += kept.Add;
        var lease = _fixture.Active(LeaseFixture.Sized(FakeDevice.Page));

        var left = _fixture.Manager.LeaveAsync(CancellationToken.None);
        _fixture.Pump();

        Assert.Equal(0, LeaseFixture.Wait(left));
        Assert.Empty(kept);
        Assert.Equal((LeaseState.Ended, EndReason.BrokerRestart, 1), (_fixture.Get(lease.Id).State, _fixture.Get(lease.Id).EndReason, _device.Revokes));
    }

    [Fact]
    public void Leave_Leases_StayAndNothingIsGranted()
    {
        Start(Kept(7));

        Assert.Equal(1, LeaseFixture.Wait(_fixture.Manager.LeaveAsync(CancellationToken.None)));

        Assert.Equal(LeaseState.Active, Get(7).State);
        Assert.Equal(LeaseError.Unavailable, _fixture.Refused(LeaseFixture.Explicit(LeaseFixture.Pages(5, 1))).Error);
        Assert.Equal((0, 0), (_device.Closes, _device.Revokes));
    }

    public void Dispose()
    {
        _fixture.Dispose();
        _board.Dispose();
        _device.CloseFiles();
        _files.ForEach(static file => file.Dispose());
    }

    private long Now => _fixture.Time.GetTimestamp();

    private Memfd AnyFile()
    {
        var file = Memfd.Create("any", FakeDevice.Page);
        _files.Add(file);
        return file;
    }

    private LeaseInfo Get(ulong epoch) => _fixture.Get(LeaseId.FromEpoch(epoch));

    private KeptLease Kept(ulong epoch, int page = 0, TimeSpan? remaining = null)
    {
        BoardPlace place = _board.Take(epoch, "dev0")!;
        place.Beat(Now + Clock.Units(remaining ?? TimeSpan.FromSeconds(10)));
        BoardEntry entry = _board.Found().Single(e => e.Epoch == epoch);
        return new KeptLease(
            epoch,
            [new LeaseBuffer(0, [LeaseFixture.Pages((ulong)page, 1)], FakeDevice.Page)],
            BufferAccess.ReadWrite,
            MemoryAttribute.NonCached,
            _owner,
            ImmutableDictionary<string, string>.Empty,
            LeaseState.Active,
            EndReason.None,
            "",
            TimeSpan.FromSeconds(30),
            null,
            new LeaseMarks("", Now, Now, 0, Deadline.Never, Deadline.Never, TimeSpan.Zero, Fetched: true, Generation: 4) { Files = [new FileIdentity(1, epoch)] },
            entry,
            [AnyFile()]);
    }

    private ImmutableArray<LeaseInfo> Start(params KeptLease[] leases) => Start(leases, []);

    private ImmutableArray<LeaseInfo> Start(KeptLease[] leases, params PassedDescriptor[] strays)
    {
        _fixture.Manager.Inherit("dev0", Left(leases) with { Strays = [.. strays] });
        _fixture.Manager.Start();
        _fixture.Pump();
        return _fixture.Manager.List(LeaseFilter.All);
    }

    private KeptDevice Left(params KeptLease[] leases) => new(4, [new PassedDescriptor("fake", AnyFile())], [], [.. leases], [], [], "");

    /// <summary>Closed once and opened anew, and nothing of before is left.</summary>
    private void ClosedWholly()
    {
        Assert.Equal((1, 1), (_device.Closes, _device.Opens));
        Assert.Empty(_device.Accessible);
        Assert.Empty(_board.Found());
        Assert.Contains("D4/fake/dev0", _keeper.Dropped);
        Assert.Equal(0ul, _fixture.Manager.Device("dev0").Bars[0].Quarantined);
        Assert.Equal(LeaseState.Active, _fixture.Active(LeaseFixture.Explicit(LeaseFixture.Pages(0, 1))).State);
    }

    private sealed class FakeKeeper : IDescriptorKeeper
    {
        public event Action<string>? Kept;

        public List<string> Dropped { get; } = [];

        /// <summary>What begins so is not kept.</summary>
        public string Refused { get; set; } = "none";

        public bool Keep(string name, ReadOnlySpan<FileDescriptor> files)
        {
            if (name.StartsWith(Refused, StringComparison.Ordinal))
                return false;
            Kept?.Invoke(name);
            return true;
        }

        public void Join(string name)
        {
        }

        public void Drop(string name) => Dropped.Add(name);

        public void Settle()
        {
        }
    }
}
