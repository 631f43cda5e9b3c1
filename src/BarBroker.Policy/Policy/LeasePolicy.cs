// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Policy;

/// <summary>
/// Decides, from the configuration alone, who may lease what on which terms, and what operators may do. Immutable: a reload makes a new one. What depends on who
/// holds what already is in the terms, for the lease book to check.
/// </summary>
internal sealed class LeasePolicy(LeaseOptions options)
{
    /// <summary>Requests may ask for hang limits of up to this, where no rule says less.</summary>
    private static readonly TimeSpan LongestHangLimit = TimeSpan.FromDays(365);

    private readonly bool _rulesOperators = options.Rules is { } rules && rules.Any(static rule => rule.Operator is not null);

    /// <summary>Whether operators' rights come from rules; else whoever may open the socket has all of them.</summary>
    public bool RulesOperators => _rulesOperators;

    /// <param name="steps">Where it is given: gets every rule that was looked at, the one that decides last.</param>
    /// <exception cref="LeaseException">Denied.</exception>
    public LeaseTerms Decide(AcquireRequest request, IPolicySubject subject, List<PolicyStep>? steps = null)
    {
        if (options.Rules is null)
            return Terms(request, null, new LeaseRule());
        var facts = new SubjectFacts(subject);
        var rule = Find(ref facts, static rule => rule.Lease is not null, "leases", steps, out bool isCertain)
            ?? throw new LeaseException(LeaseError.Denied, $"no rule of the broker's policy lets uid {subject.Uid} lease anything{Because(facts.Missing)}; ask the operator");
        if (rule.IsDenial)
            throw new LeaseException(LeaseError.Denied, DenialText(rule, subject, isCertain ? "" : facts.Missing));
        if (Refusal(request, rule, rule.Lease!) is { } refusal)
            throw refusal;
        return Terms(request, rule, rule.Lease!);
    }

    /// <summary>What the rules that decide let this process lease; null if nothing. Without a policy, everything.</summary>
    public LeaseRule? RuleOf(IPolicySubject subject)
    {
        if (options.Rules is null)
            return new LeaseRule();
        var facts = new SubjectFacts(subject);
        return Find(ref facts, static rule => rule.Lease is not null, "leases", null, out _)?.Lease;
    }

    /// <summary>Whether the caller may lease anything of the device of that name: what it may not, it need not see.</summary>
    public Func<string, bool> DevicesOf(IPolicySubject subject) => RuleOf(subject) is { } lease ? lease.AllowsDevice : static _ => false;

    /// <summary>What a caller of the operator socket may do, and the rule that says so; null if none does.</summary>
    public OperatorRights RightsOf(IPolicySubject subject, out PolicyRule? rule, List<PolicyStep>? steps = null)
    {
        rule = null;
        if (!_rulesOperators)
            return OperatorRights.All;
        var facts = new SubjectFacts(subject);
        rule = Find(ref facts, static rule => rule.Operator is not null, "operators", steps, out _);
        return rule?.Operator ?? OperatorRights.None;
    }

    private PolicyRule? Find(ref SubjectFacts facts, Func<PolicyRule, bool> speaksOf, string what, List<PolicyStep>? steps, out bool isCertain)
    {
        var why = steps is null ? null : new List<string>();
        isCertain = true;
        foreach (var rule in options.Rules!.Value)
        {
            why?.Clear();
            if (!rule.IsDenial && !speaksOf(rule))
            {
                steps?.Add(new PolicyStep(rule.Name, $"says nothing about {what}"));
                continue;
            }

            var result = rule.Match.Test(ref facts, why);
            // What would be refused if only it could be told what it is, is refused.
            isCertain = result == MatchResult.Yes;
            if (isCertain || (result == MatchResult.Unknown && rule.IsDenial))
            {
                steps?.Add(new PolicyStep(rule.Name, ""));
                return rule;
            }

            steps?.Add(new PolicyStep(rule.Name, string.Join("; ", why!)));
        }

        return null;
    }

    private static string DenialText(PolicyRule rule, IPolicySubject subject, string missing)
    {
        string text = rule.DenialText.Length > 0 ? $": {rule.DenialText}" : "; ask the operator";
        return $"policy rule {rule.Name} refuses uid {subject.Uid}{Because(missing)}{text}";
    }

    private static string Because(string missing) => missing.Length > 0 ? $" ({missing})" : "";

    private static LeaseException? Refusal(AcquireRequest request, PolicyRule rule, LeaseRule lease)
    {
        if (request.Device.Length > 0 && !lease.AllowsDevice(request.Device))
            return Denied(rule, "device", $"does not allow device {request.Device}; it allows {string.Join(", ", lease.Devices)}", request.Device);
        if (request.Pool.Length > 0 && !lease.AllowsPool(request.Pool))
            return Denied(rule, "pool", $"does not allow pool {request.Pool}; it allows {(lease.Pools.IsEmpty ? "none" : string.Join(", ", lease.Pools))}");
        if (request.Pool.Length == 0 && lease.PoolsOnly)
            return Denied(rule, "pool", $"allows leases from pools only; ask for one of {string.Join(", ", lease.Pools)}");
        if (request.Slot is not null && !lease.ExplicitRanges)
            return Denied(rule, "slot", "does not allow explicit ranges, and so no slot by its number; ask for any");
        if (!lease.Accesses.IsEmpty && !lease.Accesses.Contains(request.Access))
            return Denied(rule, "access", $"does not allow {Words(request.Access)} access; it allows {string.Join(" and ", lease.Accesses.Select(Words))}");
        if (!lease.MemoryAttributes.IsEmpty && !lease.MemoryAttributes.Contains(request.Attribute))
            return Denied(rule, "memory_attribute", $"does not allow {Words(request.Attribute)} memory; it allows {string.Join(" and ", lease.MemoryAttributes.Select(Words))}");
        for (int i = 0; !lease.ExplicitRanges && i < request.Buffers.Length; i++)
        {
            if (!request.Buffers[i].Ranges.IsDefaultOrEmpty)
                return Denied(rule, $"buffers[{i}].ranges", "does not allow explicit ranges; ask for a size");
        }

        return null;
    }

    private static LeaseException Denied(PolicyRule rule, string field, string what, string device = "") =>
        new(LeaseError.Denied, $"policy rule {rule.Name} {what}") { Field = field, Device = device };

    private static string Words(BufferAccess access) => access == BufferAccess.ReadOnly ? "read-only" : "read-write";

    private static string Words(MemoryAttribute attribute) => attribute == MemoryAttribute.WriteCombining ? "write-combining" : "non-cached";

    private static TimeSpan Clamp(TimeSpan span, TimeSpan min, TimeSpan max) => span < min ? min : span > max ? max : span;

    private LeaseTerms Terms(AcquireRequest request, PolicyRule? rule, LeaseRule lease)
    {
        var ttl = Clamp(request.Ttl ?? lease.DefaultTtl ?? options.DefaultTtl, lease.MinTtl ?? options.MinTtl, lease.MaxTtl ?? options.MaxTtl);
        var hang = request.HangLimit ?? lease.DefaultHangLimit ?? lease.MaxHangLimit;
        return new LeaseTerms
        {
            Policy = this,
            Rule = rule,
            Ttl = lease.MaxLifetime is { } life && life < ttl ? life : ttl,
            HangLimit = hang is { } limit ? Clamp(limit, lease.MinHangLimit ?? options.MinTtl, lease.MaxHangLimit ?? LongestHangLimit) : null,
            MaxLifetime = lease.MaxLifetime,
            RecallGrace = lease.RecallGrace,
            Priority = Math.Clamp(request.Priority ?? lease.DefaultPriority, lease.MinPriority, lease.MaxPriority),
            MayPreempt = lease.MayPreempt,
            MaxLeases = lease.MaxLeases ?? options.MaxLeasesPerUid,
            MaxBytes = lease.MaxBytes ?? options.MaxBytesPerUid,
            MaxWaiting = lease.MaxWaiting,
            Rate = lease.Rate,
        };
    }
}
