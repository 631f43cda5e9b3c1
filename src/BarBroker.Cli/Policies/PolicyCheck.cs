// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Cli.Output;
using BarBroker.Client;
using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Policy;
using BarBroker.Pools;

namespace BarBroker.Cli.Policies;

/// <summary>Asks the policy of a configuration file what a broker would, with the broker's own code, and keeps how it came to the answer.</summary>
internal static class PolicyCheck
{
    public static PolicyCheckDocument Acquire(string file, BrokerOptions options, DescribedProcess process, LeaseRequest request, int? priority)
    {
        var steps = new List<PolicyStep>();
        var document = PolicyCheckDocument.Of(file, options);
        try
        {
            var wanted = PoolRequest.Resolve(Convert(request, priority), options.Leases.Pools);
            var terms = new LeasePolicy(options.Leases).Decide(wanted, process, steps);
            document = document with { Rule = terms.Rule?.Name, Terms = TermsDocument.From(terms, [.. options.Devices.Select(device => device.Name)]) };
            return Refusal(wanted, options, process, terms) is { } refusal
                ? document with { Steps = Documents(steps), Granted = false, Refusal = refusal.Message, RefusalCode = Word(refusal.Error) }
                : document with { Steps = Documents(steps), Granted = true };
        }
        catch (LeaseException refusal)
        {
            string? rule = steps is [.., { Why: "" } last] ? last.Rule : null;
            return document with { Steps = Documents(steps), Rule = rule, Granted = false, Refusal = refusal.Message, RefusalCode = Word(refusal.Error) };
        }
    }

    public static PolicyCheckDocument Operator(string file, BrokerOptions options, DescribedProcess process)
    {
        var steps = new List<PolicyStep>();
        var rights = new LeasePolicy(options.Leases).RightsOf(process, out var rule, steps);
        return PolicyCheckDocument.Of(file, options) with
        {
            Steps = Documents(steps),
            Rule = rule?.Name,
            OperatorRights = [.. Enum.GetValues<OperatorRights>().Where(right => right is not (OperatorRights.None or OperatorRights.All) && rights.HasFlag(right)).Select(Words.Of)],
        };
    }

    /// <summary>What the broker refuses after the policy, and can be told without it: an unknown device, and more than the whole quota.</summary>
    private static LeaseException? Refusal(AcquireRequest request, BrokerOptions options, DescribedProcess process, LeaseTerms terms)
    {
        if (request.Device.Length > 0 && options.Devices.All(device => device.Name != request.Device))
            return new LeaseException(LeaseError.NotFound, $"the configuration has no device {request.Device}");
        if (request.Device.Length == 0 && !options.Devices.Any(device => terms.AllowsDevice(device.Name) && request.Source?.Covers(device.Name) != false))
            return new LeaseException(LeaseError.Denied, request.Source is null ? "none of the configured devices is allowed" : $"none of the devices of pool {request.Pool} is allowed");
        UInt128 bytes = 0;
        foreach (var buffer in request.Buffers)
            bytes += buffer.Ranges.Aggregate((UInt128)buffer.Size, static (sum, range) => sum + range.Length);
        if (terms.MaxLeases == 0 || bytes > terms.MaxBytes)
            return new LeaseException(LeaseError.Quota, $"{bytes} bytes are asked for, and the quota of uid {process.Uid} is {terms.MaxLeases} leases of together {Words.Bytes(terms.MaxBytes)}");
        return null;
    }

    private static AcquireRequest Convert(LeaseRequest request, int? priority) => new(
        request.Device,
        [.. request.Buffers.Select(buffer => new BufferRequest(buffer.Bar, [.. buffer.Ranges.Select(range => new Devices.BarRange(range.Offset, range.Length))], buffer.Size))],
        request.Access == V1.Access.ReadOnly ? BufferAccess.ReadOnly : BufferAccess.ReadWrite,
        request.MemoryAttribute == V1.MemoryAttribute.WriteCombining ? MemoryAttribute.WriteCombining : MemoryAttribute.NonCached,
        request.Ttl,
        request.HangLimit,
        ImmutableDictionary<string, string>.Empty,
        "")
    {
        Priority = priority,
        Pool = request.Pool,
        Slot = request.Slot,
    };

    private static StepDocument[] Documents(IEnumerable<PolicyStep> steps) => [.. steps.Select(step => new StepDocument(step.Rule, step.Why))];

    private static string Word(LeaseError error) => Words.Of(error);
}
