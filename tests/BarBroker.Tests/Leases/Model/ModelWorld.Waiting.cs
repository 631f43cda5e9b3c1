// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <content>Acquires that wait: how their waits end.</content>
internal sealed partial class ModelWorld
{
    private readonly List<ModelWaiter> _waiters = [];

    /// <summary>Those that were granted since the last comparison, and may have preempted before.</summary>
    private readonly List<ModelWaiter> _granted = [];

    /// <summary>Those that came behind some that wait no more, by device: what was kept for these in between is not to be seen.</summary>
    private readonly HashSet<(int Device, string Waiter)> _overtaken = [];

    private int _names;
    private int _toldSeen;

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
            _tally.Count(Deed.WaitGranted);
            ModelLease lease = Adopt(info, waiter.Request, device, waiter.Owner, waiter.Terms, Behind(device, waiter.Priority, waiter), null);
            NoteOvertaken(waiter);
            foreach (PendingCall call in waiter.Calls)
                Attach(lease, call);
        }
    }

    private void NoteOvertaken(ModelWaiter gone)
    {
        foreach (int d in gone.Devices)
            _overtaken.UnionWith(Behind(d, gone.Priority, gone).Select(behind => (d, behind)));
    }

    /// <summary>Who does not wait any more, and was granted nothing, was refused, and for a reason.</summary>
    private void ExpectEndsOfWaits()
    {
        HashSet<string> waiting = [.. Manager.Waiting(LeaseFilter.All).Select(static w => w.Labels[ModelWaiter.Label])];
        foreach (ModelWaiter waiter in _waiters.ToArray())
        {
            if (waiting.Remove(waiter.Name))
            {
                Assert.True(_now < waiter.Due || _isBeforeSweep, $"{waiter.Name} waits on after its deadline");
                Assert.False(waiter.MayBeRefused, $"{waiter.Name} waits on");
                continue;
            }

            _waiters.Remove(waiter);
            NoteOvertaken(waiter);
            foreach (PendingCall call in waiter.Calls)
            {
                LeaseException refusal = call.Refusal();
                Assert.True(waiter.MayBeRefused || _now >= waiter.Due || _shuttingDown, $"{waiter.Name} was refused without cause: {refusal.Message}");
                if (!waiter.MayBeRefused && !_shuttingDown)
                    Assert.StartsWith("waited for", refusal.Message, StringComparison.Ordinal);
            }

            _tally.Count(waiter.MayBeRefused ? Deed.WaitRefused : Deed.WaitTimedOut);
        }

        Assert.Empty(waiting);
    }
}
