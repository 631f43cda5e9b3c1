// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Policy;

namespace BarBroker.Leases;

/// <summary>An acquire that waits for room. The lease book owns it, from the acquire until it is granted, refused or given up; then nothing refers to it but callers.</summary>
internal sealed class Waiter(AcquireRequest request, OwnerRecord owner, LeaseTerms terms, ulong bytes, DeviceSlot[] slots) : Claim
{
    public AcquireRequest Request { get; } = request;

    public OwnerRecord Owner { get; } = owner;

    public LeaseTerms Terms { get; set; } = terms;

    public int Priority => Terms.Priority;

    public ulong Bytes { get; } = bytes;

    /// <summary>In whose queues it is: its device, or all that will do, in the order of the configuration.</summary>
    public DeviceSlot[] Slots { get; } = slots;

    public uint Uid => Owner.Owner.Uid;

    public bool IsReadOnly => Request.Access == Devices.BufferAccess.ReadOnly && Request.Source?.Scrub is null;

    /// <summary>Whether the buffer, once granted, may be on what other readers have: only where it names its place. A size is always given free bytes.</summary>
    public bool Shares(int buffer) => IsReadOnly && Request.Buffers[buffer].Size == 0;

    public long Since { get; init; }

    /// <summary>From then on nobody is put ahead of it.</summary>
    public long SeniorAt { get; init; }

    /// <summary>The end of its patience, when it is refused.</summary>
    public long Due { get; init; }

    /// <summary>What it was granted in the end.</summary>
    public Lease? Granted { get; set; }

    /// <summary>Why it could not be granted when it was last looked at.</summary>
    public LeaseException? Refusal { get; set; }

    /// <summary>The device that <see cref="Place"/> is on; null: nothing is kept for it.</summary>
    public DeviceSlot? Target { get; set; }

    /// <summary>What is kept for it: whoever comes behind it gets nothing of that, so that it only waits for the leases that are there already.</summary>
    public ImmutableArray<LeaseBuffer> Place { get; set; } = [];

    /// <summary>Holds <see cref="Place"/> in the allocators while the queue is looked at.</summary>
    public Lease Placeholder => field ??= Lease.PlaceholderOf(this);

    /// <summary><see cref="Place"/> was chosen to be made free by recalls; while it stands, nothing more is recalled.</summary>
    public bool HasPreempted { get; set; }

    /// <summary>The recalls are still to be made.</summary>
    public bool OwesRecall { get; set; }

    public ImmutableArray<Lease> Victims { get; set; } = [];
}
