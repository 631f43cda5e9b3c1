// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;

namespace BarBroker.Tests.Leases.Model;

/// <summary>
/// A lease manager over three fake devices, and beside it a model of what it must do. After each step the two are compared, and what must always
/// hold (design.md) is asserted. The model does not predict when a revoke comes through; it takes that from the devices, which know what is accessible.
/// </summary>
internal sealed partial class ModelWorld : IDisposable
{
    private const ulong Page = FakeDevice.Page;
    private const int DeviceCount = 3;

    /// <summary>Of BAR 0, that are nobody's. BAR 2 has four times as many.</summary>
    private const int BarPages = 8;

    private const int OwnerCount = 4;

    /// <summary>The user whose leases have an end that no renewal moves.</summary>
    private const uint ShortUid = 1001;

    private const int Patience = 2_000;
    private const int LastPriority = 3;
    private const int PerSecond = 4;
    private const int Burst = 8;

    private static readonly LeaseOptions Options = new()
    {
        DefaultTtl = TimeSpan.FromSeconds(8),
        MinTtl = TimeSpan.FromSeconds(1),
        MaxTtl = TimeSpan.FromSeconds(20),
        TicketTtl = TimeSpan.FromSeconds(5),
        MaxLeasesPerUid = 6,
        MaxBytesPerUid = 40 * Page,
        EndedLeasesKept = 20,
        RevokeTimeout = TimeSpan.FromSeconds(2),
        RevokeRetryMax = TimeSpan.FromSeconds(2),
        Escalation = new EscalationOptions
        {
            Notify = TimeSpan.FromSeconds(1),
            Cordon = TimeSpan.FromSeconds(2.5),
            Kill = TimeSpan.FromSeconds(3),
            Reset = TimeSpan.FromSeconds(5),
        },
        Pools = [ModelPools.Queues, ModelPools.Frames],
        MaxWaitingPerUid = 5,
        WaitPatience = TimeSpan.FromMilliseconds(Patience),
        Rules =
        [
            new PolicyRule("short", PolicyMatch.Everybody with { Users = [new NamedId(ShortUid, "")] }, Lease: new LeaseRule
            {
                MaxLeases = 5,
                MaxLifetime = TimeSpan.FromSeconds(12),
                RecallGrace = TimeSpan.FromSeconds(3),
                MinHangLimit = TimeSpan.FromSeconds(2),
                MaxPriority = LastPriority,
                Rate = new AcquireRate(PerSecond, Burst),
            }),
            new PolicyRule("rest", PolicyMatch.Everybody, Lease: new LeaseRule
            {
                RecallGrace = TimeSpan.FromSeconds(1),
                MaxHangLimit = TimeSpan.FromSeconds(15),
                MaxPriority = LastPriority,
                MayPreempt = true,
            }),
        ],
    };

    /// <summary>What a reload brings, and the next one takes back.</summary>
    private static readonly LeaseOptions Strict = Options with
    {
        Escalation = new EscalationOptions { Cordon = TimeSpan.FromSeconds(1) },
        Rules =
        [
            new PolicyRule("short", PolicyMatch.Everybody with { Users = [new NamedId(ShortUid, "")] }, Lease: new LeaseRule
            {
                MaxLeases = 3,
                MaxLifetime = TimeSpan.FromSeconds(6),
                MaxPriority = LastPriority,
                Rate = new AcquireRate(PerSecond, Burst),
            }),
            new PolicyRule("rest", PolicyMatch.Everybody, Lease: new LeaseRule
            {
                Devices = ["dev0", "dev2"],
                ExplicitRanges = false,
                MaxPriority = LastPriority,
                MayPreempt = true,
            }),
        ],
    };

    private readonly HashSet<string> _everyId = [];
    private readonly List<ModelLease> _leases = [];
    private readonly LeaseOwner[] _owners = new LeaseOwner[OwnerCount];
    private LeaseFixture _fixture = null!;
    private ulong _lastEpoch;
    private int _pids = 100;
    private long _now;
    private long _stalledAt = -1;
    private int _depth;
    private bool _shuttingDown;
    private bool _isStrict;

    /// <summary>Many transitions at once: what was decided in one is not to be seen any more after the next.</summary>
    private bool _isApplying;

    private long _rate;
    private long _rateAt;

    // An assertion that fails inside of a call to a device would be taken for a failed call.
    private Exception? _failureInside;

    private readonly Tally _tally;

    public ModelWorld(Tally tally)
    {
        _tally = tally;
        Restart();
        for (int i = 0; i < OwnerCount; i++)
            ReplaceOwner(i);
    }

    private LeaseManager Manager => _fixture.Manager;

    public void Step(Operation operation)
    {
        Apply(operation);
        Reconcile();
        PumpUnblocked();
        Reconcile();
        CheckInvariants();
        if (_failureInside is not null)
            throw new InvalidOperationException("inside of a device call: " + _failureInside.Message, _failureInside);
    }

    /// <summary>Heals everything: then every end that was decided is proven, and everything can be leased again.</summary>
    public void Finish()
    {
        while (_waiters.Count > 0)
        {
            CancelWait(_waiters[0]);
            Reconcile();
        }

        for (int d = 0; d < DeviceCount; d++)
        {
            _devices[d].IsBlocked = false;
            Uncordon(d);
            Heal(d);
        }

        PassTime(12);
        foreach (ModelLease lease in _leases.Where(static l => l.Live).ToArray())
        {
            lease.MustEnd(EndReason.Operator);
            Manager.End(lease.Id, EndReason.Operator, "end of the history");
        }

        PassTime(12);
        Reconcile();
        CheckInvariants();
        Assert.Empty(Manager.Waiting(LeaseFilter.All));
        Assert.All(_leases, static l => Assert.True(l.Ended, $"{l.Id} never came to its end"));
        foreach (DeviceInfo device in Manager.Devices())
        {
            Assert.Equal(DeviceState.Ready, device.State);
            Assert.Equal(0, device.Leases);
            Assert.All(device.Bars, static b => Assert.Equal((b.Size, (ulong)ModelPools.Area(b.Bar, null).Count * Page), (b.Free, b.LargestFree)));
        }

        Assert.All(_resets, r => CheckReset(r, mustBeAnswered: true));
    }

    /// <summary>What the manager says of devices, leases and waiters.</summary>
    public override string ToString() => string.Join('\n', Manager.Devices().Select(static d => $"    {d.Name} {d.State}")
        .Concat(Manager.List(LeaseFilter.All).Select(l => $"    {l.Id} {l.Device} {l.State} uid {l.Owner.Uid} priority {l.Priority} {l.PolicyRule} {l.Access} {Describe(l.Buffers)} left {l.Remaining?.TotalMilliseconds} recall {l.RecallReason} {l.RecallRemaining?.TotalMilliseconds} life {l.LifetimeRemaining?.TotalMilliseconds}"))
        .Concat(Manager.Waiting(LeaseFilter.All).Select(w => $"    {w.Labels[ModelWaiter.Label]} {w.Device} #{w.Position} uid {w.Owner.Uid} priority {w.Priority} {w.PolicyRule} {w.Access} wants {string.Join(", ", w.Buffers.Select(static b => $"{b.Bar}:{b.Size / Page}{string.Join("+", b.Ranges)}"))} left {w.Remaining.TotalMilliseconds} place {Describe(w.Kept)}{(w.HasPreempted ? " preempts" : "")}")));

    private static string Describe(IEnumerable<LeaseBuffer> buffers) =>
        string.Join(", ", buffers.Select(static b => $"{b.Bar}:{string.Join('+', b.Ranges.Select(static r => $"{r.Offset / Page}-{(r.End / Page) - 1}"))}"));

    public void Dispose()
    {
        foreach (ModelReset reset in _resets)
            _ = reset.Answer.Exception;
        _fixture.Dispose();
    }

    private static string Name(int device) => $"dev{device}";

    /// <summary>How long the kernel is let wait for the device.</summary>
    private static long RequestGrace(int device) => device == 1 ? 0 : 3_000;

    private static RevocationDomain Domain(int device) => device == 0 ? RevocationDomain.Selective : RevocationDomain.Device;

    /// <summary>Another broker, with the epoch that its journal remembers, on devices that the kernel has closed.</summary>
    private void Restart()
    {
        _leases.Clear();
        _waiters.Clear();
        _places.Clear();
        _scrubbed.Clear();
        Array.ForEach(_order, static q => q.Clear());
        _fresh.Clear();
        _lastTold.Clear();
        _toldSeen = _toldChecked = 0;
        _rate = Burst * 1000 / PerSecond;
        _rateAt = 0;
        _stalledAt = -1;
        _now = 0;
        _shuttingDown = false;
        _isStrict = false;
        _killer = new ModelKiller();
        _kills = _killsTold = 0;
        _resets.Clear();
        for (int d = 0; d < DeviceCount; d++)
            _devices[d] = new ModelDevice(RequestGrace(d));
        DeviceRegistration[] devices = [.. Enumerable.Range(0, DeviceCount).Select(static d =>
            new DeviceRegistration(new FakeDevice(Name(d), Domain(d), ModelPools.BarPages * Page), AllowSharing: d == 2) { RequestGrace = TimeSpan.FromMilliseconds(RequestGrace(d)) })];
        _fixture = new LeaseFixture(Options, devices, _lastEpoch + 1, start: false);
        Manager.UseKiller(_killer);
        Manager.Start();
        _fixture.Pump();
        for (int d = 0; d < DeviceCount; d++)
        {
            int device = d;
            WatchScrubs(d);
            _fixture.Executor(Name(d)).Ran = command => OnRan(device, command);
        }
    }

    private void ReplaceOwner(int index)
    {
        uint uid = (uint)(1000 + (index / 2));
        _owners[index] = new LeaseOwner(uid, uid, _pids++, "model");
    }

    private void PumpUnblocked()
    {
        bool more = true;
        while (more)
        {
            more = false;
            for (int d = 0; d < DeviceCount; d++)
            {
                if (!_devices[d].IsBlocked)
                    more |= _fixture.Executor(Name(d)).PumpOne();
            }
        }
    }

    private void OnRan(int device, DeviceCommand command)
    {
        if (command.Kind == DeviceCommandKind.Recycle)
            ObserveReset(device);
        bool hasExported = command is { Kind: DeviceCommandKind.Export, Lease: { } exported } && (exported.Phase == ExportPhase.Done || exported.EndDetail.StartsWith("export failed", StringComparison.Ordinal));
        if (hasExported || command is { Kind: DeviceCommandKind.Revoke, Lease.State: LeaseState.Ended })
            _devices[device].AnsweredAt = _now;
        if (command.Kind == DeviceCommandKind.Export && command.Lease!.Phase == ExportPhase.Done)
        {
            AdoptGranted();
            Answered(_leases.Find(l => l.Id == command.Lease.Id));
        }

        Reconcile();
    }

    /// <summary>The device thread is through with the export: the acquire was granted, unless the lease was ended.</summary>
    private void Answered(ModelLease? lease)
    {
        if (lease is null || lease.Granted || Manager.Get(lease.Id).EndReason != EndReason.None)
            return;
        lease.Granted = true;
        lease.TtlDeadline = _now + lease.Ttl;
        // Those that want the buffers first: what they have fetched needs no ticket any more.
        foreach (PendingCall call in lease.Calls.OrderBy(static c => c.Recipient is null))
            Answer(lease, call);
        lease.Calls.Clear();
    }
}
