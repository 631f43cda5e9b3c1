// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Tests.Rpc;

/// <summary>The policy as callers of other uids meet it. Needs root, to connect as them.</summary>
public sealed class PolicyTests : BrokerTest
{
    private const uint Alice = 54321;
    private const uint Bob = 54322;
    private const uint Watcher = 54323;

    protected override string Devices => base.Devices + """, { "name": "other0", "kind": "simulated", "bars": [ { "size": "64KiB" } ] }""";

    protected override string More => $$"""
        "policy": { "rules": [
          { "name": "no-bob", "match": { "uid": {{Bob}} }, "deny": true, "message": "Bob has left" },
          { "name": "alice", "match": { "uid": {{Alice}} },
            "lease": { "devices": "sim*", "explicitRanges": false, "access": "read-write", "leases": 2, "maxTtl": "20s", "maxLifetime": "30s", "maxHangLimit": "10s" } },
          { "name": "this-program", "match": { "uid": 0, "executable": "{{Environment.ProcessPath}}" }, "lease": {} },
          { "name": "watcher", "match": { "uid": {{Watcher}} }, "operator": "read" },
          { "name": "root", "match": { "uid": 0 }, "operator": "all" }
        ] },
        """;

    [Fact]
    public async Task Acquire_AsTheRuleAllows_IsClampedAndTellsTheRule()
    {
        var lease = (await ClientOf(Alice).AcquireAsync(Sized(Page), cancellationToken: Cancellation)).Lease;

        Assert.Equal(("alice", 20L, 10L), (lease.PolicyRule, lease.Ttl.Seconds, lease.HangLimit.Seconds));
        Assert.InRange(lease.LifetimeRemaining.ToTimeSpan(), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
        Assert.Equal("this-program", (await Acquire()).PolicyRule);
    }

    [Fact]
    public async Task Acquire_NotAllowed_DeniedWithRuleAndField()
    {
        var alice = ClientOf(Alice);

        Assert.Equal(("policy rule no-bob refuses uid 54322: Bob has left", null), await Refused(StatusCode.PermissionDenied, ClientOf(Bob).AcquireAsync(Sized(Page), cancellationToken: Cancellation)));
        Assert.Equal("no rule of the broker's policy lets uid 54323 lease anything; ask the operator", (await Refused(StatusCode.PermissionDenied, ClientOf(Watcher).AcquireAsync(Sized(Page), cancellationToken: Cancellation))).Message);
        Assert.Equal("buffers[0].ranges", (await Refused(StatusCode.PermissionDenied, alice.AcquireAsync(Ranged((0, Page)), cancellationToken: Cancellation))).Detail?.Field);
        Assert.Equal("device", (await Refused(StatusCode.PermissionDenied, alice.AcquireAsync(Sized(Page, "nvme0"), cancellationToken: Cancellation))).Detail?.Field);
        var readOnly = Sized(Page);
        readOnly.Access = Access.ReadOnly;
        Assert.Equal("access", (await Refused(StatusCode.PermissionDenied, alice.AcquireAsync(readOnly, cancellationToken: Cancellation))).Detail?.Field);
    }

    [Fact]
    public async Task ListDevices_AndRefusals_TellOnlyOfDevicesThatTheRuleAllows()
    {
        Assert.Equal(["sim0"], await DevicesAsync(Alice));
        Assert.Empty(await DevicesAsync(Bob));
        Assert.Empty(await DevicesAsync(Watcher));
        Assert.Equal(["sim0", "other0"], (await Client.ListDevicesAsync(new ListDevicesRequest(), cancellationToken: Cancellation)).Devices.Select(device => device.Name));
        Assert.Equal("there is no device sim7; there is sim0", (await Refused(StatusCode.NotFound, ClientOf(Alice).AcquireAsync(Sized(Page, "sim7"), cancellationToken: Cancellation))).Message);

        async Task<IEnumerable<string>> DevicesAsync(uint uid) =>
            (await ClientOf(uid).ListDevicesAsync(new ListDevicesRequest(), cancellationToken: Cancellation)).Devices.Select(device => device.Name);
    }

    [Fact]
    public async Task Watch_DeviceThatTheRuleForbids_IsNotToldOf()
    {
        using var watch = ClientOf(Alice).Watch(new WatchRequest(), cancellationToken: Cancellation);
        await Next(watch.ResponseStream, "the watch begins");

        foreach (string device in new[] { "other0", "sim0" })
        {
            await Operator.CordonDeviceAsync(new CordonDeviceRequest { Device = device }, cancellationToken: Cancellation);
        }

        Assert.Equal("sim0", (await Next(watch.ResponseStream, "a device is cordoned")).Device.Name);
    }

    [Fact]
    public async Task Acquire_OverTheQuotaOfTheRule_ExhaustedAndTellsHowMuch()
    {
        // Two clients, as two processes of one user are.
        await ClientOf(Alice).AcquireAsync(Sized(Page), cancellationToken: Cancellation);
        await ClientOf(Alice).AcquireAsync(Sized(Page), cancellationToken: Cancellation);

        var (message, _) = await Refused(StatusCode.ResourceExhausted, ClientOf(Alice).AcquireAsync(Sized(Page), cancellationToken: Cancellation));

        Assert.Equal("policy rule alice: uid 54321 has 2 leases, and 2 is its quota; release some first", message);
    }

    [Fact]
    public async Task Operator_RightsOfTheRule_HoldForEachCall()
    {
        var watcher = new OperatorService.OperatorServiceClient(OpenAs(Watcher, OperatorSocket));
        var alice = new OperatorService.OperatorServiceClient(OpenAs(Alice, OperatorSocket));
        var lease = await Acquire();

        Assert.Single((await watcher.ListLeasesAsync(new OperatorListLeasesRequest(), cancellationToken: Cancellation)).Leases);
        await watcher.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation);
        await watcher.GetDeviceAsync(new GetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation);
        var exception = await Refused(StatusCode.PermissionDenied, watcher.Revoke(new RevokeRequest { LeaseIds = { lease.Id } }, cancellationToken: Cancellation));
        Assert.Equal("policy rule watcher does not give uid 54323 the right revoke", exception.Status.Detail);
        await Refused(StatusCode.PermissionDenied, watcher.DrainDevice(new DrainDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, watcher.CordonDeviceAsync(new CordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, watcher.UncordonDeviceAsync(new UncordonDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, watcher.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" }, cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, watcher.ReloadAsync(new ReloadRequest(), cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, alice.GetStatusAsync(new GetStatusRequest(), cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, alice.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, alice.ListDevicesAsync(new OperatorListDevicesRequest(), cancellationToken: Cancellation));
        await Refused(StatusCode.PermissionDenied, alice.WatchLeases(new WatchLeasesRequest(), cancellationToken: Cancellation));

        Assert.Single(await ReadAll(Operator.Revoke(new RevokeRequest { LeaseIds = { lease.Id } }, cancellationToken: Cancellation)));
    }

    public override async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can connect as another uid");
        await base.InitializeAsync();

        // The others keep root's group, which is the sockets'; the directory must let them pass.
        File.SetUnixFileMode(Directory.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute);
    }

    private LeaseService.LeaseServiceClient ClientOf(uint uid) => new(OpenAs(uid, ClientSocket));

    private GrpcChannel OpenAs(uint uid, string socket) => Own(SomebodyElse.Open(socket, uid));
}
