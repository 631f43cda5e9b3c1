// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Leases.Model;

/// <summary>What histories must have come to at least once for their success to mean something.</summary>
internal enum Deed
{
    /// <summary>A retried acquire got the lease, or the place in the queue, that its request id has.</summary>
    KnownLease,
    KnownWaiter,

    WaitGranted,
    WaitTimedOut,
    WaitRefused,

    /// <summary>A newcomer of higher priority was put ahead of somebody; or was not, because that one is a senior.</summary>
    WentAhead,
    StayedBehindSenior,

    PlaceMoved,

    /// <summary>There would have been room, but for what is kept for those ahead.</summary>
    RefusedForKept,

    /// <summary>On a device of one user at a time the next turn is another's.</summary>
    TurnTaken,

    Preempting,
    PreemptedAtOnce,

    /// <summary>Who may preempt waits, because there is no place that it may have.</summary>
    NotPreempting,

    HeartbeatInGrace,
    EndOfLifeAnnounced,
    RateLimited,
    OldTicket,
    Delivered,
    FetchedBefore,
    SuspendNoticed,

    QueueGranted,
    FrameGranted,
    Scrubbed,
    ScrubFailed,

    DeviceAskedFor,
    DeviceFailed,
    DeviceVanished,

    /// <summary>Of a device that was asked for, or was to be reset after a grace: at its end, or when its last lease had ended.</summary>
    ClosedAtDeadline,
    ClosedWhenEmpty,

    /// <summary>A reset took the cordon for an error away.</summary>
    ErrorCured,

    UncordonedSeveralCauses,

    /// <summary>A stuck lease was called so because the proof failed; or because nothing was heard.</summary>
    ProofFailed,
    Unanswered,

    StuckCordoned,
    StuckUncordoned,

    /// <summary>An operator uncordoned the device while a lease was stuck.</summary>
    CordonForborne,

    KillBegun,

    /// <summary>The process is not there any more, or never had the buffers.</summary>
    KillForborne,

    StuckReset,

    /// <summary>A millisecond before a deadline nothing had ended; then it did.</summary>
    ExactDeadline,
}
