// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Pools;

namespace BarBroker.Leases;

/// <summary>
/// What the lease book knows of one device. Only <see cref="LeaseBook"/> changes it, under its lock; the device itself is touched only by its
/// <see cref="DeviceWorker"/>.
/// </summary>
internal sealed class DeviceSlot(DeviceRegistration registration) : Deadline
{
    public string Name { get; } = registration.Device.Name;

    public bool AllowSharing { get; } = registration.AllowSharing;

    /// <summary>How long its leases are recalled for when the kernel asks for it.</summary>
    public TimeSpan RequestGrace { get; } = registration.RequestGrace;

    public IDeviceExecutor Executor { get; set; } = null!;

    /// <summary>Exports are possible.</summary>
    public bool IsOpen { get; set; }

    /// <summary>Why it is not open, or why its revocation domain is what it is.</summary>
    public string Detail { get; set; } = "not opened yet";

    /// <summary>By cause, each at most once. Empty: not cordoned.</summary>
    public ImmutableArray<DeviceCordon> Cordons { get; set; } = [];

    public bool IsCordoned => Cordons.Length > 0;

    public int Generation { get; set; }

    public DeviceDescription? Description { get; set; }

    /// <summary>By BAR index; null where the device has no such BAR.</summary>
    public RangeAllocator<Lease>?[] Bars { get; set; } = [];

    /// <summary>The pools that cover it, served or not; empty before it was opened.</summary>
    public ImmutableArray<PoolFit> Pools { get; set; } = [];

    /// <summary>Leases that have not ended.</summary>
    public HashSet<Lease> Leases { get; } = [];

    /// <summary>Those of them whose end is not decided.</summary>
    public int LiveLeases { get; set; }

    /// <summary>When it last did what it was asked for a lease. Those that wait behind in its queue are not stuck while it does.</summary>
    public long AnsweredAt { get; set; } = long.MinValue;

    /// <summary>Null: it is to stay open. Set only while leases of it live.</summary>
    public PlannedClose? Planned { get; set; }

    /// <summary>A close is owed: queued, going on, or to be tried again. It will prove the end of all that is exported; nothing is revoked one by one.</summary>
    public bool NeedsClose { get; set; }

    /// <summary>The command for it is queued and has not begun.</summary>
    public bool RecycleQueued { get; set; }

    /// <summary>Why the device is to be closed, for those whose leases end by it.</summary>
    public string RecycleCause { get; set; } = "";

    /// <summary>The device is gone, has failed, or was asked for: after the close, it is opened again only after a pause.</summary>
    public bool Lost { get; set; }

    /// <summary>To be reset when it is open the next time.</summary>
    public bool ResetWanted { get; set; }

    /// <summary>It reported an error since it was last begun to be opened: a reset that was made meanwhile may have been before that.</summary>
    public bool FailedMeanwhile { get; set; }

    /// <summary>Stuck leases that the reset which is wanted was begun for.</summary>
    public List<Lease> ResetFor { get; } = [];

    /// <summary>Leases that are stuck.</summary>
    public int StuckLeases { get; set; }

    /// <summary>Attempts to close or open that failed in a row.</summary>
    public int Failures { get; set; }

    /// <summary>When to try again.</summary>
    public long RetryDue { get; set; } = Never;

    /// <summary>Completes after the first attempt to open.</summary>
    public TaskCompletionSource FirstOpen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the device is closed for good.</summary>
    public TaskCompletionSource Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Acquires that wait for it, alone or among others.</summary>
    public WaitQueue Waiters { get; } = new();

    /// <summary>The queue is to be looked at before the lock is left.</summary>
    public bool IsWoken { get; set; }

    public List<ResetWaiter> ResetWaiters { get; } = [];

    /// <summary>What an earlier run has left of it; null: nothing, or it was dealt with.</summary>
    public KeptDevice? Kept { get; set; }

    /// <summary>On the board: leases of an earlier run that were not taken up, until it is proven that they are over. If nothing less does, the device's being opened anew proves it.</summary>
    public List<BoardPlace> LostPlaces { get; } = [];

    /// <summary>Completes when all that an earlier run had leased of it is in the lease book, or proven to be over: when it is taken up, or has been opened.</summary>
    public TaskCompletionSource Accounted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What <see cref="Accounted"/> waits for.</summary>
    public IEnumerable<ulong> Unaccounted => LostPlaces.Concat(Kept?.Lost ?? []).Select(static place => place.Epoch).Concat((Kept?.Leases ?? []).Select(static lease => lease.Epoch));

    public DeviceState State => Planned is not null ? DeviceState.Leaving : !IsOpen ? DeviceState.Unavailable : !IsCordoned ? DeviceState.Ready : DeviceState.Cordoned;

    /// <summary>It can only be revoked as a whole, and serves another user now. Any one of the leases will do: by this rule they are all of one user.</summary>
    public bool IsOtherUsers(uint uid) =>
        Description!.Domain == RevocationDomain.Device && !AllowSharing && Leases.FirstOrDefault() is { } other && other.Owner.Owner.Uid != uid;

    public DeviceInfo ToInfo() => new(
        Name,
        State,
        DetailText(),
        Description,
        [.. (Description?.Bars ?? []).Select(ToUsage)],
        Leases.Count,
        Generation,
        Waiters.Count)
    {
        Cordons = Cordons,
        Pools = [.. Pools.Where(static fit => fit.IsServed).Select(static fit => fit.Pool.Name)],
    };

    private BarUsage ToUsage(BarDescription bar)
    {
        RangeAllocator<Lease> a = Bars[bar.Index]!;
        return new BarUsage(bar.Index, bar.Size, a.Free, a.Leased, a.Quarantined, a.LargestFree) { Fragmentation = a.Rest.Fragmentation, Pooled = a.Size - (a.Size % Description!.PageSize) - a.Rest.Size };
    }

    private string DetailText() => IsCordoned ? $"{string.Join("; ", Cordons)}; {Detail}" : Detail;
}
