// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Acquires that wait. The model does not predict whose turn it is; it knows who could be served, and that nobody who could is left waiting.</content>
internal sealed partial class ModelWorld
{
    private readonly List<ModelWaiter> _waiters = [];

    /// <summary>Those that were granted since the last comparison, and may have preempted before.</summary>
    private readonly List<ModelWaiter> _granted = [];

    /// <summary>Who was ahead of a senior when it was last looked at.</summary>
    private readonly Dictionary<(int Device, string Name), HashSet<string>> _ahead = [];

    private int _names;
    private int _toldSeen;

    private void AcquireWaiting(Operation op)
    {
        LeaseOwner owner = _owners[op.A % OwnerCount];
        int device = op.A / OwnerCount % DeviceCount;
        string name = $"w{_names++}";
        long wait = StepMs * (1 + (op.B % 40));
        AcquireRequest request = MakeRequest(op, device, "");
        request = request with
        {
            Device = op.D % 5 == 0 ? "" : Name(device),
            Wait = TimeSpan.FromMilliseconds(wait),
            Labels = request.Labels.Add(ModelWaiter.Label, name),
        };
        int waiting = _waiters.Count(w => w.Owner.Uid == owner.Uid);
        var cancel = new CancellationTokenSource();
        Task<Grant> task = Manager.AcquireAsync(request, owner, cancel.Token).AsTask();
        ModelTerms terms = TermsOf(owner);
        int[] devices = [.. request.Device.Length > 0 ? [device] : Enumerable.Range(0, DeviceCount).Where(d => d != terms.NotDevice)];
        if (task.IsFaulted)
        {
            var refusal = Assert.IsType<LeaseException>(task.Exception!.InnerException);
            if (devices.All(d => terms.Refuses(d, NamesRanges(request))))
            {
                Assert.Equal(LeaseError.Denied, refusal.Error);
                return;
            }

            bool never = BytesOf(request) > Options.MaxBytesPerUid;
            Assert.True(
                _shuttingDown ? refusal.Error == LeaseError.Unavailable : never || waiting >= Options.MaxWaitingPerUid,
                $"refused at once instead of waiting: {refusal.Message}");
            return;
        }

        // Adopted as a lease in a moment, if it was its turn.
        _waiters.Add(new ModelWaiter(name, request, owner, new PendingCall(task, cancel), _now + wait) { Devices = devices, Terms = terms });
    }

    private void CancelWait(ModelWaiter waiter)
    {
        _waiters.Remove(waiter);
        waiter.Call.Cancel.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => LeaseFixture.Wait(waiter.Call.Task));
        Assert.DoesNotContain(Manager.Waiting(LeaseFilter.All), w => w.Labels[ModelWaiter.Label] == waiter.Name);
    }

    /// <summary>Waiters whose turn has come are leases now.</summary>
    private void AdoptGranted()
    {
        for (; _toldSeen < _fixture.Told.Count; _toldSeen++)
        {
            LeaseInfo info = _fixture.Told[_toldSeen];
            if (info.State != LeaseState.Granted || !info.Labels.TryGetValue(ModelWaiter.Label, out string? name) || _everyId.Contains(info.Id))
                continue;
            ModelWaiter waiter = _waiters.Find(w => w.Name == name)!;
            Assert.NotNull(waiter);
            _waiters.Remove(waiter);
            _granted.Add(waiter);
            int device = Array.FindIndex([.. Enumerable.Range(0, DeviceCount).Select(Name)], n => n == info.Device);
            Assert.True(waiter.Request.Device.Length == 0 || waiter.Request.Device == info.Device, "another device than the one asked for");
            Adopt(info, waiter.Request, device, waiter.Owner, waiter.Terms, isExact: false).Calls.Add(waiter.Call);
        }
    }

    /// <summary>Who does not wait any more, and was granted nothing, was refused, and for a reason.</summary>
    private void ExpectEndsOfWaits()
    {
        HashSet<string> waiting = [.. Manager.Waiting(LeaseFilter.All).Select(static w => w.Labels[ModelWaiter.Label])];
        foreach (ModelWaiter waiter in _waiters.ToArray())
        {
            if (waiting.Remove(waiter.Name))
            {
                Assert.True(_now < waiter.Due, $"{waiter.Name} waits on after its deadline");
                Assert.False(waiter.MayBeRefused, $"{waiter.Name} waits on");
                continue;
            }

            _waiters.Remove(waiter);
            Exception refusal = Assert.ThrowsAny<Exception>(() => LeaseFixture.Wait(waiter.Call.Task));
            Assert.True(waiter.MayBeRefused || _now >= waiter.Due || _shuttingDown, $"{waiter.Name} was refused without cause: {refusal.Message}");
            if (!waiter.MayBeRefused && !_shuttingDown)
                Assert.StartsWith("waited for", Assert.IsType<LeaseException>(refusal).Message, StringComparison.Ordinal);
        }

        Assert.Empty(waiting);
    }

    /// <summary>A recall that nobody asked for is a preemption: then by somebody who may, and of higher priority.</summary>
    private void AdoptPreemption(ModelLease lease, LeaseInfo info)
    {
        bool isRecalled = info.State == LeaseState.Recalled && info.RecallReason == EndReason.Preempted && lease.RecallReason != EndReason.Preempted;
        bool isEnded = info.EndReason == EndReason.Preempted && !lease.May.Contains(EndReason.Preempted);
        if (!lease.Live || !(isRecalled || isEnded))
            return;
        Assert.True(
            _waiters.Concat(_granted).Any(w => w.Owner.Uid != ShortUid && w.Priority > lease.Priority),
            $"{lease.Id} of priority {lease.Priority} is preempted, and nobody of higher priority waits");
        if (isEnded)
        {
            // Its grace was none.
            lease.MustEnd(EndReason.Preempted);
            return;
        }

        lease.RecallDeadline = _now + (long)info.RecallRemaining!.Value.TotalMilliseconds;
        lease.RecallReason = EndReason.Preempted;
        lease.State = LeaseState.Recalled;
    }

    private void CheckQueue(int device, DeviceInfo info)
    {
        WaiterInfo[] queue = [.. Manager.Waiting(LeaseFilter.All with { Device = info.Name })];
        Assert.Equal(queue.Length, info.Waiting);
        Assert.Equal(Enumerable.Range(1, queue.Length), queue.Select(static w => w.Position));
        CheckOrder(device, queue);
        if (info.State != DeviceState.Ready)
            return;
        var kept = new List<LeaseBuffer>();
        foreach (WaiterInfo waiting in queue)
        {
            ModelWaiter waiter = _waiters.Find(w => w.Name == waiting.Labels[ModelWaiter.Label])!;
            bool isOthers = IsOtherUsers(device, waiter.Owner);
            if (!isOthers && !IsOverQuota(waiter.Request, waiter.Owner, waiter.Terms))
                Assert.False(waiter.Request.Buffers.All(b => HasRoom(device, b, waiter.Request.Access, kept)), $"{waiter.Name} waits for {info.Name}, where there is room for it");
            // Nobody behind gets anything before this one's turn.
            if (isOthers && !waiting.Kept.IsEmpty)
                return;
            kept.AddRange(waiting.Kept);
        }
    }

    /// <summary>No starvation: once a waiter is a senior, those ahead of it become fewer, never more.</summary>
    private void CheckOrder(int device, WaiterInfo[] queue)
    {
        for (int i = 0; i < queue.Length; i++)
        {
            string name = queue[i].Labels[ModelWaiter.Label];
            HashSet<string> ahead = [.. queue.Take(i).Select(static w => w.Labels[ModelWaiter.Label])];
            if (_ahead.TryGetValue((device, name), out HashSet<string>? before))
                Assert.True(ahead.IsSubsetOf(before), $"{name} was overtaken after it had waited for {queue[i].Waited.TotalMilliseconds} ms");
            if (queue[i].Waited.TotalMilliseconds >= Patience)
                _ahead[(device, name)] = ahead;
        }
    }
}
