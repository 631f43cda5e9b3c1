// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;

namespace BarBroker.Configuration;

/// <summary>What a rule of the policy lets those lease whom it is about.</summary>
internal static class LeaseRuleReader
{
    private const int LastPriority = 1000;

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestTtl = TimeSpan.FromDays(7);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(365);

    public static LeaseRule Read(ObjectReader lease, LeaseOptions bounds)
    {
        var rule = new LeaseRule
        {
            Devices = Devices(lease),
            Pools = lease.IsEmptyList("pools") ? [] : lease.Globs("pools", "a pool") is { IsEmpty: false } pools ? pools : ["*"],
            PoolsOnly = lease.Flag("poolsOnly", false),
            ExplicitRanges = lease.Flag("explicitRanges", true),
            Accesses = lease.Choices("access", ("read-write", BufferAccess.ReadWrite), ("read-only", BufferAccess.ReadOnly)),
            MemoryAttributes = lease.Choices("memoryAttributes", ("non-cached", MemoryAttribute.NonCached), ("write-combining", MemoryAttribute.WriteCombining)),
            MaxLeases = lease.Number("leases", 0, 1_000_000),
            MaxBytes = lease.Size("bytes", 4096, ulong.MaxValue),
            MaxWaiting = lease.Number("waiting", 0, 1_000_000),
            Rate = Rate(lease),
            DefaultTtl = lease.Duration("defaultTtl", Shortest, LongestTtl),
            MinTtl = lease.Duration("minTtl", Shortest, LongestTtl),
            MaxTtl = lease.Duration("maxTtl", Shortest, LongestTtl),
            MaxLifetime = lease.Duration("maxLifetime", Shortest, Longest),
            DefaultHangLimit = lease.Duration("defaultHangLimit", Shortest, Longest),
            MinHangLimit = lease.Duration("minHangLimit", Shortest, Longest),
            MaxHangLimit = lease.Duration("maxHangLimit", Shortest, Longest),
            RecallGrace = lease.Duration("recallGrace", TimeSpan.Zero, TimeSpan.Zero, TimeSpan.FromHours(24)),
            MinPriority = lease.Number("minPriority", 0, -LastPriority, LastPriority),
            MaxPriority = lease.Number("maxPriority", 0, -LastPriority, LastPriority),
            MayPreempt = lease.Flag("mayPreempt", false),
        };
        rule = rule with { DefaultPriority = lease.Number("defaultPriority", Math.Clamp(0, rule.MinPriority, Math.Max(rule.MinPriority, rule.MaxPriority)), -LastPriority, LastPriority) };
        Check(lease, rule, bounds);
        lease.Finish();
        return rule;
    }

    private static ImmutableArray<string> Devices(ObjectReader lease)
    {
        var devices = lease.Globs("devices", "a device");
        return devices.IsEmpty ? ["*"] : devices;
    }

    private static AcquireRate? Rate(ObjectReader lease)
    {
        int? perSecond = lease.Number("acquiresPerSecond", 1, 1_000_000);
        int? burst = lease.Number("acquireBurst", 1, 1_000_000);
        if (perSecond is null && burst is not null)
        {
            lease.Fault("acquireBurst", "goes with acquiresPerSecond");
        }

        return perSecond is { } rate ? new AcquireRate(rate, burst ?? rate) : null;
    }

    private static void Check(ObjectReader lease, LeaseRule rule, LeaseOptions bounds)
    {
        Order(lease, ("minTtl", rule.MinTtl ?? bounds.MinTtl), ("defaultTtl", rule.DefaultTtl), ("maxTtl", rule.MaxTtl ?? bounds.MaxTtl), Quantity.Format);
        Order(lease, ("minHangLimit", rule.MinHangLimit ?? bounds.MinTtl), ("defaultHangLimit", rule.DefaultHangLimit), ("maxHangLimit", rule.MaxHangLimit ?? Longest), Quantity.Format);
        Order(lease, ("minPriority", rule.MinPriority), ("defaultPriority", rule.DefaultPriority), ("maxPriority", rule.MaxPriority), static value => value.ToString(CultureInfo.InvariantCulture));
        if (rule.PoolsOnly && rule.Pools.IsEmpty)
        {
            lease.Fault("poolsOnly", "goes with pools that may be leased; a rule that allows nothing is one with deny");
        }

        if (rule.MaxLifetime is { } life && life < (rule.MinTtl ?? bounds.MinTtl))
        {
            lease.Fault("maxLifetime", $"{Quantity.Format(life)} is less than minTtl ({Quantity.Format(rule.MinTtl ?? bounds.MinTtl)})");
        }

        if (rule.RecallGrace >= rule.MaxLifetime)
        {
            lease.Fault("recallGrace", $"{Quantity.Format(rule.RecallGrace)} is not less than maxLifetime ({Quantity.Format(rule.MaxLifetime.Value)}): every lease would be recalled when it is granted");
        }
    }

    /// <summary>Where a bound is not the rule's own, it is the one of <c>leases</c>.</summary>
    private static void Order<T>(ObjectReader lease, (string Key, T Value) min, (string Key, T? Value) usual, (string Key, T Value) max, Func<T, string> format)
        where T : struct, IComparable<T>
    {
        if (min.Value.CompareTo(max.Value) > 0)
        {
            lease.Fault(lease.Has(min.Key) ? min.Key : max.Key, $"{min.Key} ({format(min.Value)}) is more than {max.Key} ({format(max.Value)})");
        }
        else if (usual.Value is { } value && (value.CompareTo(min.Value) < 0 || value.CompareTo(max.Value) > 0))
        {
            lease.Fault(usual.Key, $"{format(value)} is not between {min.Key} ({format(min.Value)}) and {max.Key} ({format(max.Value)})");
        }
    }
}
