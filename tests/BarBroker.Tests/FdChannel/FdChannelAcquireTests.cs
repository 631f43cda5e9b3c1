// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices.Simulated;
using BarBroker.FdChannel;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;
using AcquireRequest = BarBroker.V1.AcquireRequest;
using EndReason = BarBroker.Leases.EndReason;
using LeaseState = BarBroker.Leases.LeaseState;

namespace BarBroker.Tests.FdChannel;

/// <summary>Acquires on the fd socket. sim0 works; sim1 takes as long as its faults file says.</summary>
[Collection(typeof(Alone))]
public sealed class FdChannelAcquireTests : FdChannelTestBase
{
    private const int AcquiresPerConnection = 4;

    private string _faults = "";

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _faults = Directory.File("faults");
        var registry = await StartAsync(
            new LeaseOptions { MaxLeasesPerUid = 40 },
            // More connections than any test makes: the broker closes them a little later than their clients do.
            new FdChannelOptions { AcquiresPerConnection = AcquiresPerConnection, ConnectionsPerUid = 128 },
            new(new SimulatedDevice(new SimulatedDeviceOptions("sim0", [new(0, 64 * 4096)]))),
            new(new SimulatedDevice(new SimulatedDeviceOptions("sim1", [new(0, 64 * 4096)]) { FaultsFile = _faults })));
        Leases.Subscribe(registry);
    }

    public override async ValueTask DisposeAsync()
    {
        File.Delete(_faults);
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Acquire_TwoBuffers_DeliversLeaseAndFdsInOneAnswer()
    {
        var client = Connect();
        client.Acquire(Of("one", 4096, 8192));

        var (response, packet) = (await client.Receive("the delivery"))!.Value;

        using (packet)
        {
            var delivery = response.Delivery;
            Assert.Equal(("one", false, V1.LeaseState.Active), (delivery.RequestId, delivery.FetchedBefore, delivery.Lease.State));
            Assert.Equal([4096, 8192], packet.Files.Select(file => file.GetSize()));
            var lease = Leases.Get(delivery.Lease.Id);
            Assert.Equal((LeaseState.Active, Environment.ProcessId, Users.EffectiveUid), (lease.State, lease.Owner.Pid, lease.Owner.Uid));
        }
    }

    [Fact]
    public async Task Acquire_LeaseEnds_NoticesComeAfterTheDelivery()
    {
        var client = Connect();
        using var subscription = Leases.Subscribe(new EndsWhatBecomesActive(Leases));
        for (int i = 0; i < 50; i++)
        {
            client.Acquire(Of($"{i}", 4096));
            var (response, packet) = (await client.Receive("the answer"))!.Value;
            packet.Dispose();

            // Whoever ends it does so as soon as it hears of it, which is after the delivery.
            Assert.True(response.Delivery?.RequestId == $"{i}", $"{response}");
            V1.Lease notice;
            do
            {
                notice = await client.ReceiveNotice();
                Assert.Equal(response.Delivery!.Lease.Id, notice.Id);
            }
            while (notice.State != V1.LeaseState.Ended);
        }
    }

    [Fact]
    public async Task Acquire_SlowDevice_DelaysNoOtherOnTheSameConnection()
    {
        var client = Connect();
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        client.Acquire(Of("slow", 4096, device: "sim1"));
        client.Acquire(Of("fast", 4096));

        Assert.Equal("fast", (await client.ReceiveDelivery()).RequestId);
        File.Delete(_faults);
        Assert.Equal("slow", (await client.ReceiveDelivery()).RequestId);
    }

    [Fact]
    public async Task Acquire_Refused_TellsWhatTheRpcTells()
    {
        var client = Connect();
        var taken = Of("taken", ranges: (0, 4096));
        client.Acquire(taken);
        string holder = (await client.ReceiveDelivery()).Lease.Id;

        client.Acquire(new AcquireRequest(taken) { RequestId = "again" });
        var inTheWay = await client.ReceiveError();
        client.Acquire(Of("unaligned", 100));
        var unaligned = await client.ReceiveError();
        client.Acquire(Of("unknown", 4096, device: "sim9"));
        var unknown = await client.ReceiveError();
        client.Acquire(new AcquireRequest(Of("pool", 4096)) { Pool = "x" });
        var pool = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.ResourceExhausted, "again", holder, "sim0"), (inTheWay.Code, inTheWay.RequestId, inTheWay.Detail.LeaseId, inTheWay.Detail.Device));
        Assert.Equal(((uint)StatusCode.InvalidArgument, "unaligned", "buffers[0].size"), (unaligned.Code, unaligned.RequestId, unaligned.Detail.Field));
        Assert.Equal(((uint)StatusCode.NotFound, "unknown", "sim9"), (unknown.Code, unknown.RequestId, unknown.Detail.Device));
        Assert.Equal(((uint)StatusCode.NotFound, "pool", "pool"), (pool.Code, pool.RequestId, pool.Detail.Field));
        Assert.All([inTheWay, unaligned, unknown, pool], error => Assert.True(!error.Closing && error.Message.Length > 0));
    }

    [Fact]
    public async Task Acquire_ExportFails_IsRefusedAndNothingIsLeft()
    {
        var client = Connect();
        await File.WriteAllTextAsync(_faults, "export fail EIO", Cancellation);
        client.Acquire(Of("fails", 4096, device: "sim1"));

        var error = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.Unavailable, "fails", "sim1"), (error.Code, error.RequestId, error.Detail.Device));
        await AssertNoLeases();
    }

    [Fact]
    public async Task Acquire_SameIdAgain_GivesTheSameLeaseWithoutFds()
    {
        var (first, second) = (Connect(), Connect());
        first.Acquire(Of("once", 4096));
        var delivery = await first.ReceiveDelivery();

        second.Acquire(Of("once", 8192));
        var again = await second.ReceiveDelivery();

        Assert.Equal((delivery.Lease.Id, "once", true), (again.Lease.Id, again.RequestId, again.FetchedBefore));
        second.Dispose();
        first.Acquire(Of("another", 4096));
        await first.ReceiveDelivery();
        Assert.Equal(LeaseState.Active, Leases.Get(delivery.Lease.Id).State);
    }

    [Fact]
    public async Task Acquire_RetriedWhileUnderWay_TheConnectionThatIsLeftGetsTheFds()
    {
        var (first, second) = (Connect(), Connect());
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        first.Acquire(Of("retried", 4096, device: "sim1"));
        await Wait.Until(() => Leases.List(LeaseFilter.All).Length == 1, "the first acquire is under way");
        second.Acquire(Of("retried", 4096, device: "sim1"));
        second.Acquire(Of("marker", 4096));
        await second.ReceiveDelivery();

        first.Dispose();
        await Logs.WaitFor(3002);
        File.Delete(_faults);

        var delivery = await second.ReceiveDelivery();
        Assert.Equal(("retried", false), (delivery.RequestId, delivery.FetchedBefore));
    }

    [Fact]
    public async Task Acquire_IdThatWaits_IsInvalidAndTheConnectionClosed()
    {
        var client = Connect();
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        client.Acquire(Of("twice", 4096, device: "sim1"));
        client.Acquire(Of("twice", 4096));

        var error = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.InvalidArgument, true, ""), (error.Code, error.Closing, error.RequestId));
        await client.AssertClosed();
        File.Delete(_faults);
        await AssertNoLeases();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65)]
    [InlineData(50_000)]
    public async Task Acquire_UnusableId_IsInvalidAndTheConnectionClosed(int length)
    {
        var client = Connect();
        client.Acquire(Of(new string('x', length), 4096));

        var error = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.InvalidArgument, true), (error.Code, error.Closing));
        await client.AssertClosed();
        await AssertNoLeases();
    }

    [Fact]
    public async Task Acquire_WithFiles_IsRefusedAndTheyAreClosed()
    {
        var client = Connect();
        using var file = Memfd.Create("hostile", 1);
        client.Send(new FdRequest { Acquire = Of("files", 4096) }.ToByteArray(), file, file);

        Assert.Equal((uint)StatusCode.InvalidArgument, (await client.ReceiveError()).Code);
        await client.AssertClosed();
        Assert.Equal(1, OpenFiles.Now().Count("hostile"));
        await AssertNoLeases();
    }

    [Fact]
    public async Task Acquire_MoreThanMayWait_IsRefusedAndTheOthersAreNot()
    {
        var client = Connect();
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        for (int i = 0; i <= AcquiresPerConnection; i++)
        {
            client.Acquire(Of($"{i}", 4096, device: "sim1"));
        }

        var error = await client.ReceiveError();
        Assert.Equal(((uint)StatusCode.ResourceExhausted, $"{AcquiresPerConnection}", false), (error.Code, error.RequestId, error.Closing));
        File.Delete(_faults);
        for (int i = 0; i < AcquiresPerConnection; i++)
        {
            Assert.Equal($"{i}", (await client.ReceiveDelivery()).RequestId);
        }
    }

    [Fact]
    public async Task Cancel_Waiting_IsAnsweredAndNoLeaseIsLeft()
    {
        var client = Connect();
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        client.Acquire(Of("given up", 4096, device: "sim1"));
        client.Cancel("given up");

        var error = await client.ReceiveError();

        Assert.Equal(((uint)StatusCode.Cancelled, "given up", false), (error.Code, error.RequestId, error.Closing));
        client.Acquire(Of("given up", 4096));
        Assert.Equal("sim0", (await client.ReceiveDelivery()).Lease.Device);
        File.Delete(_faults);
        await Wait.Until(() => Leases.List(LeaseFilter.All).Length == 1, "the cancelled acquire leaves nothing");
    }

    [Fact]
    public async Task Cancel_Unknown_IsIgnored()
    {
        var client = Connect();
        client.Cancel("");
        client.Cancel("never heard of");
        client.Cancel(new string('x', 60_000));
        client.Acquire(Of("done", 4096));
        await client.ReceiveDelivery();
        client.Cancel("done");
        client.Acquire(Of("next", 4096));

        var next = await client.ReceiveDelivery();

        Assert.Equal("next", next.RequestId);
        Assert.Equal(2, Leases.List(LeaseFilter.All).Length);
    }

    [Fact]
    public async Task Cancel_AtTheSameMoment_IsDeliveredOrLeavesNothing()
    {
        var client = Connect();
        int delivered = 0;
        for (int i = 0; i < 300; i++)
        {
            client.Acquire(Of($"{i}", 4096));
            client.Cancel($"{i}");
            var (response, packet) = (await client.Receive("the answer"))!.Value;
            packet.Dispose();
            if (response.Delivery is { } delivery)
            {
                Assert.Equal($"{i}", delivery.RequestId);
                delivered++;
                await Leases.EndAsync(delivery.Lease.Id, EndReason.Operator, "", Cancellation);
                while ((await client.ReceiveNotice()).State != V1.LeaseState.Ended)
                {
                }
            }
            else
            {
                Assert.Equal(((uint)StatusCode.Cancelled, $"{i}"), (response.Error.Code, response.Error.RequestId));
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{delivered} were delivered");
        await AssertNoLeases();
    }

    [Fact]
    public async Task Client_DisconnectsAtTheSameMoment_LeavesNothingThatNobodyGot()
    {
        for (int i = 0; i < 100; i++)
        {
            using var client = new FdChannelClient(SocketPath);
            client.Acquire(Of($"{i}", 4096));
        }

        // One that was delivered lives on, as any lease whose client has closed its connection; this process owns them, and goes on.
        await Wait.Until(() => Logs.Entries.Count(entry => entry.Event.Id == 3002) == 100, "all connections are closed");
        await Wait.Until(() => Leases.List(LeaseFilter.All).All(lease => lease.State == LeaseState.Active), "every lease was delivered or is over");
        foreach (var lease in Leases.List(LeaseFilter.All))
        {
            await Leases.EndAsync(lease.Id, EndReason.Operator, "", Cancellation);
        }

        await AssertNoLeases();
    }

    [Fact]
    public async Task Client_DisconnectsWhileItWaits_LeavesNoLease()
    {
        await File.WriteAllTextAsync(_faults, "export stuck", Cancellation);
        using (var client = new FdChannelClient(SocketPath))
        {
            client.Acquire(Of("left behind", 4096, device: "sim1"));
            await Wait.Until(() => Leases.List(LeaseFilter.All).Length == 1, "the acquire is under way");
        }

        await Logs.WaitFor(3002);
        File.Delete(_faults);
        await AssertNoLeases();
        var ended = Assert.Single(Leases.List(LeaseFilter.All with { IncludeEnded = true }));
        Assert.Equal(EndReason.Released, ended.EndReason);
    }

    [Fact]
    public async Task Client_FloodsWithoutReading_IsDisconnectedAndOthersAreServed()
    {
        var hostile = Connect();
        var other = Connect();
        int asked = 0;
        await Wait.Until(
            () =>
            {
                try
                {
                    while (TrySend(hostile, Of($"{asked}", 4096)))
                    {
                        asked++;
                    }

                    return false;
                }
                catch (LinuxException)
                {
                    return true;
                }
            },
            "the flooding client cut off");

        await Logs.WaitFor(3008);
        other.Acquire(Of("other", ranges: (63 * 4096, 4096)));
        var answer = (await other.Receive("an answer to the other client"))!.Value;
        answer.Packet.Dispose();
        Assert.True(answer.Response.Delivery is not null || answer.Response.Error.Code == (uint)StatusCode.ResourceExhausted, $"{answer.Response}");
        // At most the quota of its uid, and each of them delivered into its socket: what was not is over.
        await Wait.Until(() => Leases.List(LeaseFilter.All).All(lease => lease.State == LeaseState.Active), "what was not delivered is over");
    }

    private static bool TrySend(FdChannelClient client, AcquireRequest request) =>
        FdSocket.TrySend(client.Socket, new FdRequest { Acquire = request }.ToByteArray(), []);

    private static AcquireRequest Of(string id, params ulong[] sizes) => Of(id, sizes, "sim0");

    private static AcquireRequest Of(string id, ulong size, string device) => Of(id, [size], device);

    private static AcquireRequest Of(string id, (ulong Offset, ulong Length) ranges) => new()
    {
        Device = "sim0",
        RequestId = id,
        Buffers = { new V1.BufferRequest { Ranges = { new V1.Range { Offset = ranges.Offset, Length = ranges.Length } } } },
    };

    private static AcquireRequest Of(string id, ulong[] sizes, string device) =>
        new() { Device = device, RequestId = id, Buffers = { sizes.Select(size => new V1.BufferRequest { Size = size }) } };

    private Task AssertNoLeases() => Wait.Until(() => Leases.List(LeaseFilter.All).IsEmpty, "no lease is left");
}
