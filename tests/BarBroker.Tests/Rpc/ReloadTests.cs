// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Hosting;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace BarBroker.Tests.Rpc;

public sealed class ReloadTests : BrokerTest
{
    // The configuration file as it is from now on; null: as the broker was started.
    private string? _devices;

    private string? _rules;

    [Fact]
    public async Task Reload_OtherPolicy_HoldsForNewRequestsOnly()
    {
        var lease = await Acquire();
        _rules = """{ "name": "nobody", "deny": true }""";

        var response = await Reload();

        Assert.Equal(["policy (1 rule)"], response.Changed);
        Assert.Empty(response.NeedRestart);
        await Refused(StatusCode.PermissionDenied, Client.AcquireAsync(Sized(Page), cancellationToken: Cancellation));
        Assert.Equal(LeaseState.Granted, (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State);
        Assert.Contains(Logs.Entries, entry => entry.Message.Contains("in force: policy (1 rule)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_Apply_EndsWhatIsNotAllowedAnyMore()
    {
        var lease = await Acquire();
        _rules = """{ "name": "nobody", "deny": true }""";

        var response = await Reload(apply: true);

        Assert.Equal(1u, response.Ended);
        Assert.Equal(EndReason.Policy, (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.EndReason);
    }

    [Fact]
    public async Task Reload_FaultyFile_TellsAllFaultsAndChangesNothing()
    {
        _rules = """{ "name": "a", "lease": { "leases": 0 } }, { "name": "a", "lease": { "minTtl": "5" } }""";

        var response = await Reload(apply: true);

        Assert.Equal(["policy.rules[1].lease.minTtl", "policy.rules[1].name"], response.Faults.Select(fault => fault.Path).Order());
        Assert.All(response.Faults, fault => Assert.Equal(1u, fault.Line));
        Assert.Empty(response.Changed);
        await Acquire();
        Assert.Contains(Logs.Entries, entry => entry.Level == LogLevel.Warning && entry.Message.Contains("is the name of an earlier rule", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_WhatCannotBeReloaded_IsNamedAndStaysAWarning()
    {
        _devices = """{ "name": "other0", "kind": "simulated", "bars": [ { "size": 4096 } ] }""";

        var response = await Reload();

        Assert.Equal(["devices: sim0 (removed)", "devices: other0 (added)"], response.NeedRestart);
        var status = await Operator.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation);
        Assert.Contains("The configuration has changes that need a restart: devices: sim0 (removed), devices: other0 (added).", status.Warnings);
        await Acquire();

        _devices = null;
        Assert.Empty((await Reload()).NeedRestart);
        Assert.DoesNotContain((await Operator.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation)).Warnings, warning => warning.Contains("restart", StringComparison.Ordinal));
    }

    private protected override BrokerHost Build() => BrokerHost.Build(Options(), "test", AddLogs, Options);

    private protected override BrokerOptions Options() => Parse(_devices ?? Devices, _rules is null ? "" : $$""" "policy": { "rules": [ {{_rules}} ] }, """);

    private async Task<ReloadResponse> Reload(bool apply = false) => await Operator.ReloadAsync(new ReloadRequest { Apply = apply }, cancellationToken: Cancellation);
}
