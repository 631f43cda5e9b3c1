// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Policy;

/// <summary>The policy of a daemon, as processes of two users meet it.</summary>
public sealed class PolicyTests : ClientsTestBase
{
    /// <summary>Where cgroup v2 is mounted: alone, or beside v1.</summary>
    private static readonly string[] UnifiedHierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

    private readonly BrokerConfiguration _configuration = new BrokerConfiguration().Device("sim0", "4MiB").Set("leases", "ticketTtl", "1m");

    private string Program => Directory.File("lease_holder");

    [Fact]
    public async Task Quota_ManyProcessesOfOneUser_IsTheUsers()
    {
        await StartAsync($$"""{ "name": "all", "lease": { "leases": 3 } }""");
        var first = await ProcessAsync("first", Alice);
        var second = await ProcessAsync("second", Alice);
        var child = await Processes.ForkAsync(first, "child");
        var grandchild = await Processes.ForkAsync(child, "grandchild");
        foreach (var process in new[] { first, second, child })
        {
            await AcquireAsync(process);
        }

        Assert.Contains("policy rule all: uid 54321 has 3 leases, and 3 is its quota", await RefusedAsync(grandchild, StatusCode.ResourceExhausted), StringComparison.Ordinal);

        await AcquireAsync(await ProcessAsync("other", Bob));
        Assert.Empty(Broker.Errors);
    }

    [Fact]
    public async Task Executable_SameFile_IsKnownAndACopyIsNot()
    {
        await StartAsync($$"""{ "name": "holder", "match": { "uid": {{Alice}}, "executable": "{{Program}}" }, "lease": {} }""");
        var process = await ProcessAsync("process", Alice);
        Assert.Equal("holder", (await AcquireAsync(process)).PolicyRule);

        // The path now names another file, even if of the same content.
        File.Copy(Program, Directory.File("copy"));
        File.Move(Directory.File("copy"), Program, overwrite: true);

        Assert.Contains("its executable could not be told", await RefusedAsync(process, StatusCode.PermissionDenied), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cgroup_OfTheProcess_IsWhatTheRuleAsksFor()
    {
        string? root = UnifiedHierarchies.FirstOrDefault(path => File.Exists(Path.Combine(path, "cgroup.procs")));
        string name = $"barbroker-test-{Environment.ProcessId}";
        string cgroup = Path.Combine(root ?? "/", name);
        try
        {
            Assert.SkipWhen(root is null, "no cgroup v2 is mounted here");
            System.IO.Directory.CreateDirectory(Path.Combine(cgroup, "inner"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Assert.Skip($"no cgroup can be made here: {exception.Message}");
        }

        try
        {
            await StartAsync($$"""{ "name": "in-it", "match": { "cgroup": "/{{name}}" }, "lease": {} }""");
            var process = await ProcessAsync("process", Alice);
            await RefusedAsync(process, StatusCode.PermissionDenied);

            // Where it is when it asks counts, not where it was when it connected.
            await File.WriteAllTextAsync(Path.Combine(cgroup, "inner", "cgroup.procs"), $"{process.Pid}", Cancellation);

            Assert.Equal("in-it", (await AcquireAsync(process)).PolicyRule);
            process.Signal(Signum.SIGKILL);
            await Wait.Until(() => File.ReadAllText(Path.Combine(cgroup, "inner", "cgroup.procs")).Length == 0, "the cgroup is empty", Patience.Long);
        }
        finally
        {
            System.IO.Directory.Delete(Path.Combine(cgroup, "inner"));
            System.IO.Directory.Delete(cgroup);
        }
    }

    [Fact]
    public async Task FdSocket_Acquire_IsDecidedByTheSamePolicy()
    {
        await StartAsync($$"""{ "name": "root", "match": { "uid": "root" }, "lease": { "explicitRanges": false, "leases": 1 } }""");
        using var client = new FdClient(Broker.FdSocket);
        var named = new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Ranges = { new V1.Range { Length = 4096 } } } } };

        var refused = await client.AskAsync(FdClient.Acquire(named, "a"));
        var delivered = await client.AskAsync(FdClient.Acquire(Pages(1), "b"));
        var exhausted = await client.AskAsync(FdClient.Acquire(Pages(1), "c"));

        Assert.Equal(((uint)StatusCode.PermissionDenied, "policy rule root does not allow explicit ranges; ask for a size"), (refused!.Error.Code, refused.Error.Message));
        Assert.Equal("root", delivered!.Delivery.Lease.PolicyRule);
        Assert.Equal((uint)StatusCode.ResourceExhausted, exhausted!.Error.Code);
    }

    [Fact]
    public async Task Reload_Sighup_NewPolicyForNewRequestsAndAFaultyFileForNone()
    {
        await StartAsync($$"""{ "name": "all", "lease": {} }""");
        var alice = await ProcessAsync("alice", Alice);
        var bob = await ProcessAsync("bob", Bob);
        var lease = await AcquireAsync(alice);

        await ReloadAsync("in force: policy (1 rule)", $$"""{ "name": "only-bob", "match": { "uid": {{Bob}} }, "lease": {} }""");

        await RefusedAsync(alice, StatusCode.PermissionDenied);
        Assert.Equal("only-bob", (await AcquireAsync(bob)).PolicyRule);
        var untouched = await LookAsync(lease.Id);
        Assert.Equal((LeaseState.Granted, "all"), (untouched.State, untouched.PolicyRule));

        await ReloadAsync("is no whole number", $$"""{ "name": "faulty", "lease": { "leases": "many" } }""");
        Assert.Equal("only-bob", (await AcquireAsync(bob)).PolicyRule);

        await ReloadAsync("in force: policy (0 rules)");
        await RefusedAsync(bob, StatusCode.PermissionDenied);
        var applied = await ForOperator.Operator.ReloadAsync(new ReloadRequest { Apply = true }, cancellationToken: Cancellation);
        Assert.Equal(3u, applied.Ended);
        Assert.Equal(EndReason.Policy, (await EndOfAsync(lease.Id)).EndReason);
    }

    private Task StartAsync(params string[] rules) => StartAsync(_configuration.Rules(rules));

    private async Task ReloadAsync(string logged, params string[] rules)
    {
        _configuration.Rules(rules).Write(Directory.Path);
        Assert.Equal(0, Syscall.kill(Broker.Pid, Signum.SIGHUP));
        await Wait.Until(() => Broker.Log.Contains(logged, StringComparison.Ordinal), $"the daemon logs \"{logged}\"; its log:\n{Broker.Log}", Patience.Long);
    }

    private async Task<Lease> AcquireAsync(HolderProcess process)
    {
        using var client = RpcClient.Over(await process.LendConnectionAsync(Broker.ClientSocket));
        return (await client.Leases.AcquireAsync(Pages(1), deadline: DateTime.UtcNow + Patience.Long)).Lease;
    }

    /// <returns>The message.</returns>
    private async Task<string> RefusedAsync(HolderProcess process, StatusCode code)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => AcquireAsync(process));
        Assert.Equal((code, refusal.Status.Detail), (refusal.StatusCode, refusal.Status.Detail));
        return refusal.Status.Detail;
    }
}
