// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <content>
/// How proofs come from the device threads. Thousands of leases may end at the same instant; then a device is to be asked for the next revoke at once, and not after the
/// books are done. So a device thread that has more to do only leaves the proof, and a thread of the pool takes note of all that have come.
/// </content>
internal sealed partial class LeaseBook
{
    /// <summary>Leases that are dealt with before the lock is left, if there are many: others wait for some hundred microseconds, not for all.</summary>
    private const int BurstSize = 128;

    /// <summary>With so many leases whose deadlines have passed, observers are told a moment later: the processors are needed for revokes, and more may pass in the next millisecond.</summary>
    private const int Many = 64;

    /// <summary>Proofs that the books may be behind while a sweep goes on: what others would have to wait for who come and want to know of them.</summary>
    private const int MostBehind = 4096;

    private static readonly TimeSpan BurstPause = TimeSpan.FromMilliseconds(1);

    private readonly ConcurrentQueue<Lease> _proofs = new();
    private int _isProofTakerThere;

    /// <summary>Many leases end: what the transition that has the lock has to tell may wait a moment.</summary>
    private bool _isBurst;

    /// <summary>
    /// On the device thread: what to revoke; empty if that is no longer needed, or a close that is due will prove more. Without the lock: only this thread changes what is
    /// exported, and a close that is asked for just now comes behind this revoke anyway.
    /// </summary>
    public static ImmutableArray<ExportedBuffer> BeginRevoke(Lease lease) => lease.IsProven || lease.Slot.NeedsClose ? [] : lease.Exported;

    /// <summary>On the device thread: access to every buffer of the lease has ended, confirmed.</summary>
    /// <param name="isMoreQueued">The device has other commands to go on with.</param>
    public void Proven(Lease lease, bool isMoreQueued)
    {
        lease.IsProven = true;
        _proofs.Enqueue(lease);
        if (!isMoreQueued)
            TakeProofs(isBurst: Volatile.Read(ref _isProofTakerThere) != 0);
        else if (Interlocked.Exchange(ref _isProofTakerThere, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(static book => book.TakeBurst(), this, preferLocal: false);
    }

    /// <summary>On a thread of the pool, until none has come for a moment.</summary>
    private void TakeBurst()
    {
        do
        {
            // What is still to be revoked goes first, unless there is much to do here.
            while (!_proofs.IsEmpty && (!Volatile.Read(ref _isSweeping) || _proofs.Count > MostBehind))
            {
                TakeProofs(isBurst: true);
                LetOthersIn();
            }

            Thread.Sleep(BurstPause);
        }
        while (!_proofs.IsEmpty);
        Interlocked.Exchange(ref _isProofTakerThere, 0);
        // One that came in between relied on this thread.
        if (!_proofs.IsEmpty)
            TakeProofs(isBurst: false);
    }

    private void TakeProofs(bool isBurst)
    {
        using Transition _ = Enter(mostProofs: isBurst ? BurstSize : int.MaxValue);
        _isBurst = isBurst;
    }

    /// <summary>Under the lock, when it was just taken: what device threads have said before is known to whatever comes now.</summary>
    private void FinishProven(int most)
    {
        if (_proofs.IsEmpty)
            return;
        long now = _clock.Now;
        for (int i = 0; i < most && _proofs.TryDequeue(out Lease? lease); i++)
        {
            lease.Slot.AnsweredAt = now;
            Finish(lease, now);
        }
    }

    /// <summary>Between two parts of many, without the lock: who waits for it is not passed over.</summary>
    private void LetOthersIn()
    {
        int waiting = Volatile.Read(ref _lockWaiters);
        for (var spin = new SpinWait(); waiting > 0 && Volatile.Read(ref _lockWaiters) >= waiting && spin.Count < 50;)
            spin.SpinOnce(sleep1Threshold: -1);
    }
}
