// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>A daemon, and processes of several users that are its clients. Only root can start them.</summary>
public abstract class ClientsTestBase : TestBase
{
    protected const uint Alice = 54321;
    protected const uint Bob = 54322;

    private protected TestDirectory Directory { get; private set; } = null!;

    private protected HolderProcesses Processes { get; private set; } = null!;

    private protected Daemon Broker { get; private set; } = null!;

    private protected RpcClient ForOperator { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can start processes of other users");
        await base.InitializeAsync();
        Directory = Own(new TestDirectory());

        // The processes of others reach their program and the sockets in it.
        File.SetUnixFileMode(Directory.Path, (UnixFileMode)0b111_101_101);
    }

    /// <summary>A BAR of 64 pages, and tickets that outlast the test.</summary>
    private protected static BrokerConfiguration OneDevice() => new BrokerConfiguration().Device("sim0", "256KiB").Set("leases", "ticketTtl", "1m");

    private protected async Task StartAsync(BrokerConfiguration configuration, params string[] launcher)
    {
        Processes = Own(new HolderProcesses(Directory.Path));
        Broker = Own(await Daemon.StartAsync(Directory.Path, configuration.Write(Directory.Path), launcher));
        ForOperator = Own(RpcClient.Dial(Broker.OperatorSocket));
    }

    /// <param name="launcher">What the user runs the program with.</param>
    private protected Task<HolderProcess> ProcessAsync(string name, uint uid, params string[] launcher) =>
        Processes.StartAsync(name, ["setpriv", $"--reuid={uid}", "--regid=nogroup", "--clear-groups", .. launcher]);

    /// <summary>Has a lease, mapped, which lives as long as the process does.</summary>
    private protected async Task<LeaseHolder> HoldAsync(HolderProcess process, AcquireRequest request) => Own(await LeaseHolder.HoldAsync(Broker, process, request));

    /// <summary>A process whose work loop is as the client library wants it (tests/vm/BarBroker.LeaseProbe), and the lease that it got.</summary>
    private protected async Task<(Tool Process, string LeaseId)> WorkAsync(params string[] options)
    {
        var worker = Own(Tool.Start([BrokerProgram.Find("BarBroker.LeaseProbe", "leaseprobe"), "work", "sim0", "4096", .. options], null, ("BARBROKER_RUNTIME_DIR", Broker.RuntimeDirectory)));
        return (worker, (await worker.LineAsync("leased ")).Split(' ')[1]);
    }

    private protected async Task<Lease> LookAsync(string leaseId) =>
        (await ForOperator.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = leaseId }, deadline: DateTime.UtcNow + Patience.Long)).Lease;

    private protected async Task<Lease> EndOfAsync(string leaseId)
    {
        var lease = await LookAsync(leaseId);
        await Wait.Until(async () => (lease = await LookAsync(leaseId)).State == LeaseState.Ended, $"lease {leaseId} ends", Patience.Long);
        return lease;
    }

    /// <summary>That have not ended.</summary>
    private protected async Task<IReadOnlyList<Lease>> LeasesAsync() =>
        (await ForOperator.Operator.ListLeasesAsync(new OperatorListLeasesRequest(), deadline: DateTime.UtcNow + Patience.Long)).Leases;

    /// <summary>A row for each line that barctl prints as JSON.</summary>
    private protected async Task<JsonElement[]> BarctlAsync(params string[] arguments)
    {
        string output = await Tool.RunAsync(["env", $"BARBROKER_RUNTIME_DIR={Broker.RuntimeDirectory}", BrokerProgram.Find("BarBroker.Cli", "barctl"), "-o", "jsonl", .. arguments]);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private protected static AcquireRequest Pages(int count, TimeSpan? ttl = null) => new()
    {
        Device = "sim0",
        Buffers = { new BufferRequest { Size = (ulong)count * 4096 } },
        Ttl = ttl is { } time ? Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(time) : null,
    };
}
