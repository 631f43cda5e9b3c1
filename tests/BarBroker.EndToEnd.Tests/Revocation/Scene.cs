// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>
/// A broker with two devices; a lease of two buffers on the first one, which a client, its forked child, a process that the fds were passed to, one that keeps O_PATH
/// handles of them, and one in whose unread socket they wait, all hold; and leases beside it and on the other device whose owners write and read
/// all the time.
/// </summary>
internal sealed class Scene : IAsyncDisposable
{
    private const byte Content = 0x5a;

    private readonly TestDirectory _directory = new();
    private readonly HolderProcesses _hub;
    private readonly Stack<IAsyncDisposable> _owned = new();

    private Scene() => _hub = new HolderProcesses(_directory.Path);

    public string Faults => _directory.File("faults");

    public Daemon Broker { get; private set; } = null!;

    public RpcClient Operator { get; private set; } = null!;

    /// <summary>The lease that is to end.</summary>
    public LeaseHolder Client { get; private set; } = null!;

    public HolderProcess Child { get; private set; } = null!;

    public HolderProcess Third { get; private set; } = null!;

    public HolderProcess PathOnly { get; private set; } = null!;

    public HolderProcess Late { get; private set; } = null!;

    /// <summary>Holds the pages just before, between and behind those of the lease.</summary>
    public LeaseHolder Neighbour { get; private set; } = null!;

    /// <summary>Holds pages of the other device.</summary>
    public LeaseHolder Elsewhere { get; private set; } = null!;

    public static async Task<Scene> MakeAsync(TimeSpan ttl, TimeSpan? hangLimit)
    {
        var scene = new Scene();
        try
        {
            await scene.StartBrokerAsync();
            await scene.LeaseAsync(ttl, hangLimit);
            await scene.HandOnAsync();
            return scene;
        }
        catch
        {
            await scene.DisposeAsync();
            throw;
        }
    }

    /// <summary>Two ranges out of order in one buffer, one range in the other.</summary>
    public static AcquireRequest Wanted() => new()
    {
        Device = "sim0",
        Buffers =
        {
            new BufferRequest { Bar = 0, Ranges = { new V1.Range { Offset = 0x10000, Length = 0x2000 }, new V1.Range { Offset = 0x4000, Length = 0x1000 } } },
            new BufferRequest { Bar = 0, Ranges = { new V1.Range { Offset = 0x20000, Length = 0x1000 } } },
        },
    };

    public Task<HolderProcess> StartProcessAsync(string name) => _hub.StartAsync(name);

    public async Task<Lease> LookAsync() => (await Operator.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = Client.Lease.Id })).Lease;

    public async ValueTask DisposeAsync()
    {
        // The broker first: its log must not tell of processes that the test kills.
        while (_owned.TryPop(out var owned))
        {
            await owned.DisposeAsync();
        }

        await _hub.DisposeAsync();
        _directory.Dispose();
    }

    private async Task StartBrokerAsync()
    {
        string configuration = new BrokerConfiguration()
            .Device("sim0", "4MiB", Faults)
            .Device("sim1", "4MiB")
            .Set("leases", "ticketTtl", "1m")
            .Write(_directory.Path);
        Broker = await Daemon.StartAsync(_directory.Path, configuration);
        _owned.Push(Broker);
        Operator = RpcClient.Dial(Broker.OperatorSocket);
    }

    private async Task LeaseAsync(TimeSpan ttl, TimeSpan? hangLimit)
    {
        Neighbour = await WorkAsync("neighbour", "sim0", 0x3000, 0x5000, 0xf000, 0x12000, 0x1f000, 0x21000);
        Elsewhere = await WorkAsync("elsewhere", "sim1", 0x4000, 0x10000, 0x20000);
        var request = Wanted();
        request.Ttl = Duration.FromTimeSpan(ttl);
        request.HangLimit = hangLimit is { } limit ? Duration.FromTimeSpan(limit) : null;
        Client = await LeaseHolder.HoldAsync(Broker, await _hub.StartAsync("client"), request);
        _owned.Push(Client);
    }

    /// <summary>One page at each offset, written and read back again and again.</summary>
    private async Task<LeaseHolder> WorkAsync(string name, string device, params ulong[] offsets)
    {
        var request = new AcquireRequest { Device = device, Buffers = { new BufferRequest { Bar = 0 } } };
        request.Buffers[0].Ranges.Add(offsets.Select(offset => new V1.Range { Offset = offset, Length = 0x1000 }));
        var holder = await LeaseHolder.HoldAsync(Broker, await _hub.StartAsync(name), request);
        await holder.Process.AskAsync("verify");
        _owned.Push(holder);
        return holder;
    }

    private async Task HandOnAsync()
    {
        var client = Client.Process;
        await client.AskAsync($"fill {Content}");
        Child = await _hub.ForkAsync(client, "child");
        Third = await PassToAsync("third");
        await Third.AskAsync("take");
        await Third.AskAsync("map");
        PathOnly = await PassToAsync("path-only");
        await PathOnly.AskAsync("take");
        await PathOnly.AskAsync("paths");
        Late = await PassToAsync("late");
        Assert.Equal("0", await Child.AskAsync($"expect {Content}"));
        Assert.Equal("0", await Third.AskAsync($"expect {Content}"));
    }

    /// <summary>Sent, and not received yet.</summary>
    private async Task<HolderProcess> PassToAsync(string name)
    {
        var receiver = await _hub.StartAsync(name);
        string inbox = _directory.File($"{name}.inbox");
        await receiver.AskAsync($"listen {inbox}");
        await Client.Process.AskAsync($"give {inbox}");
        return receiver;
    }
}
