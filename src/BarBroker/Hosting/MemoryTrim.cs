// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

/// <summary>
/// Gives the memory that the start, and later every burst of calls, has left behind back to the system: the collector keeps it otherwise, 45 MB more after
/// 10,000 acquires, where the leases themselves take less than 10. It waits until it is quiet, because a full collection stops the daemon for some milliseconds.
/// </summary>
internal sealed class MemoryTrim : IDisposable
{
    private const long WorthIt = 16 << 20;
    private const long Quiet = 4 << 20;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly ITimer _timer;
    private long _seen = GC.GetTotalAllocatedBytes();

    // What the start leaves is always worth it. Not at once: those who have waited for the broker through a restart of it are answered first.
    private long _trimmed = -WorthIt;

    public MemoryTrim(TimeProvider time)
    {
        _timer = time.CreateTimer(static trim => ((MemoryTrim)trim!).Look(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        long allocated = GC.GetTotalAllocatedBytes();
        bool isQuiet = allocated - _seen < Quiet;
        _seen = allocated;
        if (isQuiet && allocated - _trimmed >= WorthIt)
        {
            Trim();
        }
    }

    private void Trim()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _trimmed = _seen = GC.GetTotalAllocatedBytes();
    }
}
