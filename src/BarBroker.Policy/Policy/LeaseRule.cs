// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;

namespace BarBroker.Policy;

/// <summary>What whoever a rule matches may lease. Null, or an empty list, is: as for everybody without a policy.</summary>
internal sealed record LeaseRule
{
    /// <summary>Names with <c>*</c> and <c>?</c>.</summary>
    public ImmutableArray<string> Devices { get; init; } = ["*"];

    /// <summary>Names with <c>*</c> and <c>?</c>; none: no pool.</summary>
    public ImmutableArray<string> Pools { get; init; } = ["*"];

    /// <summary>Nothing but by pools.</summary>
    public bool PoolsOnly { get; init; }

    /// <summary>Whether ranges and slots may be named; else only sizes, and any slot.</summary>
    public bool ExplicitRanges { get; init; } = true;

    public ImmutableArray<BufferAccess> Accesses { get; init; } = [];

    public ImmutableArray<MemoryAttribute> MemoryAttributes { get; init; } = [];

    /// <summary>Per uid, as the following: what its processes have together.</summary>
    public int? MaxLeases { get; init; }

    public ulong? MaxBytes { get; init; }

    public int? MaxWaiting { get; init; }

    public AcquireRate? Rate { get; init; }

    public TimeSpan? DefaultTtl { get; init; }

    public TimeSpan? MinTtl { get; init; }

    public TimeSpan? MaxTtl { get; init; }

    /// <summary>From the grant on, whatever is renewed.</summary>
    public TimeSpan? MaxLifetime { get; init; }

    /// <summary>For requests that name none.</summary>
    public TimeSpan? DefaultHangLimit { get; init; }

    public TimeSpan? MinHangLimit { get; init; }

    /// <summary>Also for requests that name none: with it, every lease has a hang limit.</summary>
    public TimeSpan? MaxHangLimit { get; init; }

    /// <summary>How long before the end a lease is recalled, where the policy is what ends it.</summary>
    public TimeSpan RecallGrace { get; init; }

    public int DefaultPriority { get; init; }

    public int MinPriority { get; init; }

    public int MaxPriority { get; init; }

    public bool MayPreempt { get; init; }

    public bool AllowsDevice(string name) => Fits(name, Devices);

    public bool AllowsPool(string name) => Fits(name, Pools);

    private static bool Fits(string name, ImmutableArray<string> patterns)
    {
        foreach (string pattern in patterns)
        {
            if (Glob.Matches(pattern, name))
                return true;
        }

        return false;
    }
}
