// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Wire;

namespace BarBroker.Journal;

/// <summary>What the broker remembers: every change of a lease, what the policy refused, what operators did, what became of devices.</summary>
/// <remarks>
/// It is told of a lease before the lease's ticket or buffers leave the broker, because all of that goes through the one queue of the lease book's observers, and it has
/// kept the record, where a crash does not take it, when it returns.
/// </remarks>
internal sealed class LeaseJournal : ILeaseObserver, IDisposable
{
    private readonly JournalWriter _writer;
    private readonly RefusalTally _refusals;

    // Changes are told one at a time.
    private readonly Dictionary<string, (DeviceState State, string Detail, int Generation)> _devices = new(StringComparer.Ordinal);

    private readonly JournalMetrics _metrics;

    public LeaseJournal(BrokerOptions options, TimeProvider time, Func<IEnumerable<LeaseInfo>> living, ILogger log)
    {
        _refusals = new RefusalTally(time);
        _writer = new JournalWriter(options.Journal, options.StateDirectory, options.RuntimeDirectory, time, _refusals, living, log);
        _metrics = new JournalMetrics(_writer);
    }

    /// <summary>See <see cref="JournalWriter.Earlier"/>.</summary>
    public Task<EarlierLeases> Earlier => _writer.Earlier;

    /// <summary>See <see cref="JournalWriter.Incomplete"/>.</summary>
    public Action<bool>? Incomplete
    {
        get => _writer.Incomplete;
        set => _writer.Incomplete = value;
    }

    /// <summary>See <see cref="JournalWriter.EndedEarlier"/>.</summary>
    public int EndedEarlier => _writer.EndedEarlier;

    /// <summary>Leases of earlier runs that nothing proves to be over, and whose devices are not configured any more.</summary>
    public int Unproven
    {
        get => _writer.Unproven;
        set => _writer.Unproven = value;
    }

    /// <summary>See <see cref="JournalWriter.TakeOver"/>.</summary>
    public void TakeOver(IReadOnlySet<ulong> epochs) => _writer.TakeOver(epochs);

    public V1.JournalStatus Status() => _writer.Status();

    public void LeaseChanged(LeaseInfo lease)
    {
        if (lease.IsRecorded)
        {
            return;
        }

        var record = lease.ToWire();
        Add(LeaseEntries.Event(LeaseEntries.KindOf(lease), record), record, lease);
    }

    /// <summary>The record alone, before anything of the lease leaves the broker.</summary>
    public void LeaseRecorded(LeaseInfo lease) => Add(new V1.HistoryEvent(), lease.ToWire(), lease);

    public void DeviceChanged(DeviceInfo device)
    {
        var now = (device.State, device.Detail, device.Generation);
        if (_devices.TryGetValue(device.Name, out var before) && before == now)
        {
            return;
        }

        _devices[device.Name] = now;
        _writer.Add(new V1.HistoryEvent { Kind = V1.HistoryKind.Device, Device = device.Name, Action = device.State.ToString().ToLowerInvariant(), Detail = device.Detail });
    }

    public void Started() => _writer.Add(new V1.HistoryEvent { Kind = V1.HistoryKind.Broker, Action = "started", Detail = $"process {Environment.ProcessId}" });

    public void Stopped(string reason) => _writer.Add(new V1.HistoryEvent { Kind = V1.HistoryKind.Broker, Action = "stopped", Detail = reason });

    /// <summary>A decision of the policy against somebody's acquire. Other refusals are none.</summary>
    public void Refused(AcquireRequest request, LeaseOwner owner, LeaseException refusal)
    {
        if (refusal.Error is LeaseError.Denied or LeaseError.Quota)
        {
            Refused(owner, "acquire", request.Device.Length > 0 ? request.Device : refusal.Device, refusal);
        }
    }

    /// <summary>A decision of the policy against an operator.</summary>
    public void Refused(LeaseOwner caller, string method, LeaseException refusal) => Refused(caller, method, "", refusal);

    public void Operator(V1.HistoryEvent what)
    {
        what.Kind = V1.HistoryKind.Operator;
        _writer.Add(what);
    }

    /// <summary>For nobody in particular: SIGHUP.</summary>
    public void Reloaded(ReloadOutcome outcome) =>
        _writer.Add(new V1.HistoryEvent { Kind = V1.HistoryKind.Reloaded, Action = "SIGHUP", Detail = outcome.Faults.IsEmpty ? string.Join(", ", outcome.Changes.Reloadable) : $"faulty, nothing has changed: {outcome.Faults[0].Message}" });

    /// <exception cref="LeaseException">Unavailable: it cannot be read now.</exception>
    public Task<T> AskAsync<T>(Func<JournalStore, T> question) => _writer.AskAsync(question);

    public void Dispose()
    {
        _metrics.Dispose();
        _writer.Dispose();
    }

    private void Add(V1.HistoryEvent what, V1.Lease record, LeaseInfo lease)
    {
        _writer.Add(what, record, lease.Marks);

        // In this order: a crash in between leaves a record that is later than the board says, which is as good.
        lease.Place?.Recorded(lease.Epoch, lease.Marks.NotedAt);
    }

    private void Refused(LeaseOwner owner, string action, string device, LeaseException refusal)
    {
        // What was asked for is the caller's text.
        string name = device.Length <= 64 ? device : device[..64];
        var refused = new V1.HistoryEvent { Kind = V1.HistoryKind.Refused, Owner = owner.ToWire(), Action = action, Device = name, Detail = refusal.Message.Length <= 512 ? refusal.Message : refusal.Message[..512] };
        if (_refusals.Add(owner.Uid, refusal.Error, refused))
        {
            _writer.Add(refused);
        }
        else
        {
            _writer.Wake();
        }
    }
}
