// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.ServiceManager;
using BarBroker.Processes;

namespace BarBroker.Restart;

/// <summary>What this run has from the one before it, and keeps for the next one. Without a service manager that keeps descriptors it is empty, and leases end with the broker.</summary>
internal sealed class Inheritance
{
    /// <summary>The journal is read by a thread of its own; without an answer nothing is believed.</summary>
    private static readonly TimeSpan JournalPatience = TimeSpan.FromSeconds(20);

    private readonly List<PassedDescriptor> _passed;
    private readonly DescriptorStore? _store;
    private readonly RestartMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly long _began;
    private readonly string _doubt;
    private readonly FormerDevices _former;
    private RestorePlan? _plan;

    private Inheritance(List<PassedDescriptor> passed, FormerDevices former, DescriptorStore? store, LeaseBoard? board, string doubt, RestartMetrics metrics, TimeProvider time, ILogger log)
    {
        _passed = passed;
        _former = former;
        _store = store;
        Board = board;
        _doubt = doubt;
        _metrics = metrics;
        _time = time;
        _log = log;
        _began = time.GetTimestamp();
    }

    /// <summary>Null: leases end with the broker.</summary>
    public IDescriptorKeeper? Keeper => Board is null ? null : _store;

    /// <summary>Null: leases end with the broker. It is mapped until the process ends: threads that a device keeps may write to it until then.</summary>
    public LeaseBoard? Board { get; }

    /// <summary>There is something to take up.</summary>
    public bool IsRestoring => _plan is { Devices.IsEmpty: false };

    public static Inheritance Begin(BrokerOptions options, ServiceStart start, RestartMetrics metrics, TimeProvider time, ILogger log)
    {
        List<PassedDescriptor> ours = [.. start.Passed.Claim(KeptName.IsOurs)];
        var former = new FormerDevices(options.Devices, time, log);
        var store = FindStore(start, metrics, log);
        if (store is not null)
        {
            metrics.UseStore(store);
        }

        foreach (var file in ours)
        {
            store?.Found(file.Name);
        }

        string reason = options.Restart == RestartMode.Revoke ? "the configuration says so (restart)"
            : store is null ? "no service manager keeps its descriptors meanwhile"
            : !options.Journal.Enabled ? "the journal, which would know them, is off"
            : "";
        if (reason.Length == 0)
        {
            string bootId = RunIdentity.ReadBootId();
            var (board, doubt) = FindBoard(ours, bootId);
            if (board is null)
            {
                store!.Drop(KeptName.Board);
                board = LeaseBoard.Create(bootId);
                if (!store.Keep(KeptName.Board, [board.Memory]))
                {
                    board.Dispose();
                    board = null;
                    reason = "the service manager does not take the board of leases";
                }
            }

            if (board is not null)
            {
                if (board.TakeDoubt(doubt.Length > 0) && doubt.Length == 0)
                {
                    doubt = "the broker of before could not write everything down";
                }

                RestartLog.Preserving(log, store!.Capacity);
                return new Inheritance(ours, former, store, board, doubt, metrics, time, log);
            }
        }

        RestartLog.NotPreserving(log, reason);
        LetGo(ours, former, store, []);
        if (ours.Count > 0)
        {
            store?.Settle();
        }

        return new Inheritance([], former, store, null, "", metrics, time, log);
    }

    /// <summary>Finds out what can be taken up, and gives it to the devices. Before they are started.</summary>
    public async Task PlanAsync(LeaseJournal journal, LeaseManager leases, ClientRegistry registry, IReadOnlyCollection<string> devices, CancellationToken cancellation)
    {
        BoardEntry[] board = [.. Board!.Found()];
        if (_passed.Count == 0 && board.Length == 0)
        {
            return;
        }

        if (_doubt.Length > 0)
        {
            RestartLog.Doubt(_log, _doubt);
        }

        EarlierLeases earlier;
        try
        {
            earlier = await journal.Earlier.WaitAsync(JournalPatience, cancellation);
        }
        catch (TimeoutException)
        {
            earlier = new EarlierLeases([], "it was not read in time") { BootId = "" };
        }

        _plan = RestorePlan.Make(_passed, board, earlier, _doubt, devices, leases.Shares, registry.Restored);
        _passed.Clear();
        _plan.FormerInDoubt.ForEach(_former.Doubt);
        foreach (var (device, kept) in _plan.Devices)
        {
            if (kept.Problem.Length > 0)
            {
                RestartLog.NotBelieved(_log, device, earlier.Problem.Length > 0 ? $"{kept.Problem} (the journal: {earlier.Problem})" : kept.Problem);
            }

            leases.Inherit(device, kept);
        }

        CloseUnused(_plan, devices);
    }

    /// <summary>
    /// Completes when every device is taken up, or open, which it can be only when nobody of before has it any more, and those that are not configured any more were looked at. What is known to be over by then ends
    /// in the journal, as soon as it is known; what cannot be told yet stays, also for the next run.
    /// </summary>
    /// <param name="cancellation">The broker stops; everything stays as it is.</param>
    public async Task CompleteAsync(LeaseJournal journal, LeaseManager leases, CancellationToken cancellation)
    {
        await leases.WaitFirstOpenAsync(cancellation);
        var known = leases.List(LeaseFilter.All with { IncludeEnded = true });
        int live = known.Count(static lease => lease.State is LeaseState.Granted or LeaseState.Active or LeaseState.Recalled);
        _metrics.TakenUp(live, known.Length - live);
        Board?.BeginAnew();
        if (IsRestoring)
        {
            var living = known.Where(static lease => lease.State != LeaseState.Ended).ToList();
            int devices = living.DistinctBy(static lease => lease.Device).Count();
            long elapsed = (long)_time.GetElapsedTime(_began).TotalMilliseconds;
            RestartLog.Restored(_log, living.Count, devices, elapsed);
        }

        var earlier = await journal.Earlier.WaitAsync(cancellation);
        if (earlier.Problem.Length > 0)
        {
            // Whose the records are that could not be read is not known.
            await Task.WhenAll(leases.Accounted.Select(static device => device.Done)).WaitAsync(cancellation);
        }

        var names = leases.Accounted.Select(static device => device.Name).ToHashSet(StringComparer.Ordinal);
        var records = earlier.Leases.Where(record => record.BootId == earlier.BootId).ToLookup(record => _former.Successor(record, names), StringComparer.Ordinal);
        EarlierLease[] former = [.. records[null]];
        ulong[] unknown = [.. _former.Doubted.Except(former.Select(static record => record.Lease.Epoch))];
        ulong[] unproven = [.. unknown, .. former.Select(static record => record.Lease.Epoch)];
        var proving = ProveAsync();
        HashSet<ulong> taken = [.. known.Select(static lease => lease.Epoch)];
        Task[] awaited = [.. leases.Accounted.Select(static device => device.Done).Append(proving).Where(static done => !done.IsCompleted)];
        journal.TakeOver(Open());
        await foreach (var done in Task.WhenEach(awaited).WithCancellation(cancellation))
        {
            await done;
            journal.TakeOver(Open());
        }

        HashSet<ulong> Open() => [.. taken, .. Volatile.Read(ref unproven), .. leases.Unaccounted(), .. leases.Accounted.Where(static device => !device.Done.IsCompleted).SelectMany(device => records[device.Name].Select(static record => record.Lease.Epoch))];

        async Task ProveAsync()
        {
            var left = await _former.FindUnprovenAsync(former, cancellation);
            journal.Unproven = left.Length;
            Volatile.Write(ref unproven, [.. unknown, .. left.Select(static record => record.Lease.Epoch)]);
        }
    }

    /// <summary>What nobody has claimed of what the service manager has passed is not kept by it any more.</summary>
    public void Forget(IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            _store?.Drop(name);
        }
    }

    private static DescriptorStore? FindStore(ServiceStart start, RestartMetrics metrics, ILogger log) =>
        start is { Notifier: { } manager, StoreCapacity: > 0 and var capacity } ? new DescriptorStore(manager, capacity, metrics, log) : null;

    private static (LeaseBoard? Board, string Doubt) FindBoard(List<PassedDescriptor> passed, string bootId)
    {
        if (passed.Count == 0)
        {
            return (null, "");
        }

        LeaseBoard? board = null;
        string doubt = "the board of its leases was not kept";
        foreach (var file in passed.Where(static file => file.Name == KeptName.Board))
        {
            try
            {
                board ??= LeaseBoard.Adopt(file.File, bootId);
            }
            catch (IOException exception)
            {
                doubt = $"what was kept as the board of its leases is not that: {exception.Message}";
            }

            file.File.Dispose();
        }

        passed.RemoveAll(static file => file.Name == KeptName.Board);
        return (board, board is null ? doubt : "");
    }

    /// <summary>What is closed here and there is closed for good, and that revokes what a device has exported.</summary>
    /// <param name="used">Names by which something is kept that stays.</param>
    private static void LetGo(IReadOnlyList<PassedDescriptor> files, FormerDevices former, DescriptorStore? store, IEnumerable<string> used)
    {
        HashSet<string> held = [.. used, .. files.Where(file => !former.TryLetGo(file)).Select(static file => file.Name)];
        foreach (string name in files.Select(static file => file.Name).Distinct().Where(name => !held.Contains(name)))
        {
            store?.Drop(name);
        }
    }

    private void CloseUnused(RestorePlan plan, IReadOnlyCollection<string> configured)
    {
        var former = new SortedSet<string>(StringComparer.Ordinal);
        bool wasDevice = false;
        foreach (var file in plan.Unused)
        {
            bool isDevice = KeptName.TryDevice(file.Name, out string device, out _, out _);
            wasDevice |= isDevice;
            if (isDevice && !configured.Contains(device))
            {
                former.Add(device);
            }

            // Those of leases and clients that have ended are left behind where the broker was killed between the end and letting go.
            else if (!KeptName.IsLease(file.Name) && !KeptName.IsClient(file.Name) && !plan.UsedNames.Contains(file.Name))
            {
                RestartLog.Unknown(_log, file.Name);
            }
        }

        LetGo(plan.Unused, _former, _store, plan.UsedNames);
        foreach (string device in former)
        {
            RestartLog.Former(_log, device);
        }

        if (wasDevice)
        {
            // Closing it is what ends the leases of a device that is not configured any more.
            _store!.Settle();
        }
    }
}
