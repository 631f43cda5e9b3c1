// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;

namespace BarBroker.Leases;

/// <content>
/// Scrubbing: the pool's pattern is written over the ranges of a lease before they are exported, on the device's thread, in pieces, between which whatever else the device
/// was asked for goes first. A lease that is scrubbed is one whose export is queued: it ends at once, and whoever gets its ranges next is behind the piece that is just being
/// written, because they have the same thread. Since it is done before each grant and not after the last one, there is nothing to remember, and nothing a crash could lose.
/// </content>
internal sealed partial class LeaseBook
{
    /// <summary>What one call writes, at most; the time that it takes is added to that of a revoke. Some milliseconds, where each word goes to the device by itself.</summary>
    public const ulong ScrubPieceBytes = 256 * 1024;

    /// <summary>On the device thread: a piece could not be written. The ranges are free, and as they are; the next grant begins with scrubbing them.</summary>
    public void ScrubFailed(Lease lease, string error)
    {
        using Transition _ = Enter();
        EndLocked(lease, EndReason.DeviceLost, $"scrub failed: {error}", _clock.Now);
    }

    /// <summary>What is to be written next; null if nothing is, any more.</summary>
    private ScrubPiece? NextPiece(in DeviceCommand command)
    {
        Lease lease = command.Lease!;
        if (lease.Pool?.Scrub is not { } pattern)
            return null;
        // What was written before the device was closed or reset may be lost.
        ulong done = command.Generation == lease.Slot.Generation ? command.Scrubbed : 0;
        if (done == 0)
            lease.ScrubSince = _clock.Now;
        ulong start = 0;
        foreach (LeaseBuffer buffer in lease.Buffers)
        {
            foreach (BarRange range in buffer.Ranges)
            {
                if (done < start + range.Length)
                {
                    ulong at = done - start;
                    ulong length = Math.Min(range.Length - at, ScrubPieceBytes);
                    return new ScrubPiece(buffer.Bar, new BarRange(range.Offset + at, length), pattern, command with { Scrubbed = done + length, Generation = lease.Slot.Generation });
                }

                start += range.Length;
            }
        }

        _metrics.Scrubbed(lease.Slot.Name, lease.Pool.Name, _clock.Span(_clock.Now - lease.ScrubSince));
        return null;
    }
}
