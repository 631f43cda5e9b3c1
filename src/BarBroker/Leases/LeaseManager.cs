// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;
using BarBroker.Pools;
using BarBroker.Telemetry;

namespace BarBroker.Leases;

/// <summary>The whole life of leases: what the sockets, the process watcher and the signal handlers call. Refusals are <see cref="LeaseException"/>.</summary>
/// <remarks>
/// It only puts the parts together: <see cref="LeaseBook"/> decides, one <see cref="DeviceWorker"/> a device acts, on an executor of its own.
/// </remarks>
internal sealed partial class LeaseManager : IAsyncDisposable
{
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly AcquireRates _rates;
    private readonly LeaseBook _book;
    private readonly ImmutableArray<Pool> _pools;
    private readonly DeviceWorker[] _workers;
    private readonly Func<string, Action<DeviceCommand>, IDeviceExecutor> _executors;
    private volatile LeasePolicy _policy;
    private volatile LeasePolicy? _applied;
    private volatile LeaseOptions _options;
    private int _started;
    private int _disposed;
    private long? _shutdownAt;
    private volatile bool _left;

    public LeaseManager(LeaseOptions options, IEnumerable<DeviceRegistration> devices, ulong firstEpoch, TimeProvider time)
        : this(options, devices, firstEpoch, time, static (device, run) => new DeviceThread(device, run))
    {
    }

    /// <param name="executors">Makes what runs the commands of a device, by the device's name.</param>
    public LeaseManager(
        LeaseOptions options,
        IEnumerable<DeviceRegistration> devices,
        ulong firstEpoch,
        TimeProvider time,
        Func<string, Action<DeviceCommand>, IDeviceExecutor> executors)
    {
        DeviceRegistration[] registrations = [.. devices];
        _options = options;
        _pools = options.Pools;
        _time = time;
        _executors = executors;
        Metrics = new LeaseMetrics();
        var clock = new LeaseClock(time);
        _policy = new LeasePolicy(options);
        _rates = new AcquireRates(clock);
        _book = new LeaseBook(options, registrations, firstEpoch, clock, Metrics);
        _workers = [.. registrations.Zip(_book.Slots, (r, slot) => new DeviceWorker(_book, slot, r.Device))];
        Metrics.Observe(_book);
    }

    /// <summary>The instruments of this manager, in the meter "BarBroker".</summary>
    public LeaseMetrics Metrics { get; }

    /// <summary>The policy in force; one that was fetched before a reload goes on deciding as it did.</summary>
    public LeasePolicy Policy => _policy;

    /// <summary>The bounds and rules in force.</summary>
    public LeaseOptions Options => _options;

    /// <summary>Told of every acquire that is refused, as it is. It returns at once and never throws. Set before the first one.</summary>
    public Action<AcquireRequest, LeaseOwner, LeaseException>? Refused { get; set; }

    /// <summary>Ended leases since the start.</summary>
    public long EndedCount => _book.EndedCount;

    /// <summary>Leases in this state.</summary>
    public int Count(LeaseState state) => _book.Count(state);

    /// <summary>How often the broker found itself stalled and gave every lease a grace.</summary>
    public long StallCount => _book.StallCount;

    /// <summary>Who ends processes that hold on to a stuck lease; without one, none is ended. To be called before <see cref="Start"/>.</summary>
    public void UseKiller(IClientKiller killer) => _book.Killer = killer;

    /// <summary>Everything that a restart must not take is kept there, and on the board. To be called before <see cref="Start"/>.</summary>
    public void UseKeeper(IDescriptorKeeper keeper, LeaseBoard board)
    {
        _book.Board = board;
        foreach (DeviceWorker worker in _workers)
            worker.Keeper = keeper;
    }

    /// <summary>Whether the device has a use for what is kept by this name of several of them.</summary>
    public bool Shares(string device, string name) => WorkerOf(device).Shares(name);

    /// <summary>What an earlier run has left of a device is taken up by <see cref="Start"/>, before the device's first open is said to be over. To be called before, for each device that something is left of.</summary>
    public void Inherit(string device, KeptDevice kept)
    {
        WorkerOf(device).Inherit(kept);
        _book.Inherit(device, kept);
    }

    /// <summary>Leases of an earlier run that are neither taken up nor proven to be over, by their epochs.</summary>
    public ImmutableHashSet<ulong> Unaccounted() => _book.Unaccounted();

    /// <summary>Each device; done when it is taken up, or open: then it has none of them any more.</summary>
    public IEnumerable<(string Name, Task Done)> Accounted => _book.Slots.Select(static s => (s.Name, s.Accounted.Task));

    /// <summary>Opens the devices, each on its own thread; a device that does not open is Unavailable, with the reason, and tried again with backoff.</summary>
    public void Start()
    {
        if (Interlocked.Exchange(ref _started, 1) != 0)
            throw new InvalidOperationException("the lease manager was started before");
        for (int i = 0; i < _workers.Length; i++)
            _book.Start(_book.Slots[i], _executors(_book.Slots[i].Name, _workers[i].Run));
    }

    /// <summary>Completes when every device was tried to be opened once, whatever came of it.</summary>
    public Task WaitFirstOpenAsync(CancellationToken cancellation) => Task.WhenAll(_book.Slots.Select(static s => s.FirstOpen.Task)).WaitAsync(cancellation);

    /// <summary>
    /// Sets the ranges aside, after waiting for them if the request wants that, exports the buffers on the device's thread, and issues the ticket. Cancelling it leaves no
    /// lease and no waiter behind.
    /// </summary>
    public async ValueTask<Grant> AcquireAsync(AcquireRequest request, LeaseOwner owner, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        PendingGrant pending;
        try
        {
            LeaseTerms terms = Admit(ref request, owner);
            pending = _book.BeginAcquire(request, owner, terms);
            AfterRegistering(pending.Claim, terms);
        }
        catch (LeaseException refusal) when (TellRefused(request, owner, refusal))
        {
            throw;
        }

        try
        {
            return await pending.Task.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _book.Abandon(pending.Claim);
            throw;
        }
    }

    /// <summary>
    /// Sets the ranges aside, exports the buffers on the device's thread, and gives them to the recipient, without a ticket. Neither waits nor does any I/O.
    /// A refusal that is known at once is thrown, and the recipient not told.
    /// </summary>
    public Claim BeginAcquire(AcquireRequest request, LeaseOwner owner, IAcquireRecipient recipient)
    {
        try
        {
            LeaseTerms terms = Admit(ref request, owner);
            Claim claim = _book.BeginDelivery(request, owner, terms, recipient);
            AfterRegistering(claim, terms);
            return claim;
        }
        catch (LeaseException refusal) when (TellRefused(request, owner, refusal))
        {
            throw;
        }
    }

    /// <summary>The recipient gave up. No lease is left behind, unless another acquire with the same request id waits for it or has got it.</summary>
    public void Abandon(Claim claim, IAcquireRecipient recipient) => _book.Abandon(claim, recipient);

    /// <summary>Makes the lease Active. A wrong, used or expired ticket, or another uid's, is NotFound; that of a lease that ended is Ended.</summary>
    public Redemption Redeem(ReadOnlySpan<byte> ticket, uint uid) => _book.Redeem(ticket, uid);

    /// <summary>A heartbeat; allocates nothing.</summary>
    public Renewal Renew(string leaseId, uint uid, ulong progress) => _book.Renew(leaseId, uid, progress);

    /// <summary>Ends a lease of this uid (Released) and waits for proof: Ended, or Stuck. Cancelling stops the waiting only. An ended lease is returned as it is.</summary>
    public Task<LeaseInfo> ReleaseAsync(string leaseId, uint uid, CancellationToken cancellation) =>
        _book.EndAndWait(leaseId, uid, EndReason.Released, "").WaitAsync(cancellation);

    /// <summary>Ends a lease, whoever owns it, and waits for Ended or Stuck.</summary>
    public Task<LeaseInfo> EndAsync(string leaseId, EndReason reason, string detail, CancellationToken cancellation) =>
        _book.EndAndWait(leaseId, null, reason, detail).WaitAsync(cancellation);

    /// <summary>Decides the end without waiting for the proof. Ending an ended lease does nothing. NotFound for an unknown id.</summary>
    public LeaseInfo End(string leaseId, EndReason reason, string detail) => _book.End(leaseId, null, reason, detail);

    /// <summary>Announces that the lease will be revoked after the grace, for that reason. A shorter grace than one already announced wins.</summary>
    public LeaseInfo Recall(string leaseId, TimeSpan grace, EndReason reason, string detail) => _book.Recall(leaseId, grace, reason, detail);

    /// <summary>The client knows of the recall. It moves no deadline.</summary>
    public LeaseInfo AcknowledgeRecall(string leaseId, uint uid) => _book.AcknowledgeRecall(leaseId, uid);

    /// <summary>Waits until the lease is Ended or Stuck.</summary>
    public Task<LeaseInfo> WaitEndedAsync(string leaseId, CancellationToken cancellation) =>
        _book.EndAndWait(leaseId, null, EndReason.None, "").WaitAsync(cancellation);

    /// <summary>The process is gone: all its leases end with ClientExited. No lease is granted to it any more.</summary>
    public void OwnerExited(LeaseOwner owner) => _book.OwnerExited(owner);

    /// <summary>NotFound if it is unknown, or of another uid than the one given.</summary>
    public LeaseInfo Get(string leaseId, uint? uid = null) => _book.Get(leaseId, uid);

    /// <summary>Null: no such lease, or not one of this process.</summary>
    public LeaseInfo? FindOf(LeaseOwner owner, string leaseId) => _book.FindOf(owner, leaseId);

    /// <summary>By epoch.</summary>
    public ImmutableArray<LeaseInfo> List(LeaseFilter filter) => _book.List(filter);

    /// <summary>Acquires that wait, by device and position; those that wait for any device come once for each. None if the filter names states.</summary>
    public ImmutableArray<WaiterInfo> Waiting(LeaseFilter filter) => _book.Waiting(filter);

    public ImmutableArray<DeviceInfo> Devices() => _book.Devices();

    public DeviceInfo Device(string name) => _book.Device(name);

    /// <summary>The whole of every BAR, in order, without gaps.</summary>
    public ImmutableArray<Segment> Segments(string device) => _book.Segments(device);

    /// <summary>In the order of the configuration.</summary>
    public ImmutableArray<PoolInfo> Pools() => _book.Pools();

    public DeviceInfo Cordon(string device, string comment) => _book.Cordon(device, comment);

    /// <summary>Takes every cause away, whoever cordoned the device.</summary>
    public DeviceInfo Uncordon(string device) => _book.Uncordon(device);

    /// <summary>As below, without a grace.</summary>
    public Task<int> ResetDeviceAsync(string device, string detail, CancellationToken cancellation) => ResetDeviceAsync(device, TimeSpan.Zero, detail, cancellation);

    /// <summary>
    /// Recalls every lease of the device for the grace and ends those that are left then (DeviceReset), closes it, which is the proof that also frees stuck leases, opens
    /// and resets it. Returns how many leases it had. Cancelling stops the waiting only.
    /// </summary>
    public Task<int> ResetDeviceAsync(string device, TimeSpan grace, string detail, CancellationToken cancellation) =>
        _book.ResetDevice(device, grace, detail).WaitAsync(cancellation);

    /// <summary>A device may have appeared: those that are not open are tried at once.</summary>
    public void RetryUnavailable() => _book.RetryUnavailable();

    /// <summary>Has the sweep and every device's thread give a sign of life. After <see cref="Start"/>.</summary>
    public void AskForSigns() => _book.AskForSigns();

    /// <summary>Who has given it since.</summary>
    public VitalSigns Signs() => _book.Signs();

    public IDisposable Subscribe(ILeaseObserver observer) => _book.Subscribe(observer);

    /// <summary>Grants nothing more, ends every lease (BrokerShutdown), waits for the proofs until cancelled, closes the devices whose threads answer.</summary>
    public Task ShutdownAsync(CancellationToken cancellation)
    {
        _shutdownAt ??= _time.GetTimestamp();
        return _book.Shutdown().WaitAsync(cancellation);
    }

    /// <summary>
    /// Grants nothing more, and leaves the leases for the next run, with their devices open: nothing is asked of the devices any more by disposing this. What nobody keeps meanwhile is
    /// ended (BrokerRestart), which is waited for until cancelled. Returns how many are left.
    /// </summary>
    public async Task<int> LeaveAsync(CancellationToken cancellation)
    {
        _left = true;
        await _book.Leave().WaitAsync(cancellation).ConfigureAwait(false);
        return _book.List(LeaseFilter.All).Length;
    }

    /// <summary>
    /// Shuts down if that was not done, and disposes of the devices. A device whose thread does not answer in time is left to the end of the process; the
    /// time of a shutdown before counts.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        if (_left)
        {
            _book.Dispose();
            Metrics.Dispose();
            return;
        }

        Task stopped = StopAsync();
        try
        {
            TimeSpan left = _options.RevokeTimeout - (_shutdownAt is { } since ? _time.GetElapsedTime(since) : TimeSpan.Zero);
            await stopped.WaitAsync(left > LastPatience ? left : LastPatience, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // A blocked call holds one background thread until the kernel lets go of it or the process ends, which revokes all the same.
        }

        _book.Dispose();
        Metrics.Dispose();
    }

    /// <summary>As a filter of the exception, which goes on whatever is answered.</summary>
    private bool TellRefused(AcquireRequest request, LeaseOwner owner, LeaseException refusal)
    {
        Refused?.Invoke(request, owner, refusal);
        return false;
    }

    private DeviceWorker WorkerOf(string device) => Array.Find(_workers, worker => worker.Device == device)!;

    private Task StopAsync()
    {
        Task closed = _book.Shutdown();
        return _started == 0 ? closed : Task.WhenAll(_book.Slots.Zip(_workers, StopAsync));
    }

    /// <summary>Each on its own: one that is never closed keeps no other from being disposed of.</summary>
    private static async Task StopAsync(DeviceSlot slot, DeviceWorker worker)
    {
        await slot.Closed.Task.ConfigureAwait(false);
        slot.Executor.Post(new DeviceCommand(DeviceCommandKind.Stop));
        await worker.Stopped.ConfigureAwait(false);
    }
}
