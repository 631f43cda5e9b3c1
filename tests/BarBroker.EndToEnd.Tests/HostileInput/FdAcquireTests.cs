// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

/// <summary>What <see cref="ClientSocketTests"/> and <see cref="FdSocketTests"/> do, with acquires on the fd socket.</summary>
public sealed class FdAcquireTests : HostileTestBase
{
    private static readonly AcquireRequest OnePage = new() { Buffers = { new BufferRequest { Size = 4096 } } };

    [Fact]
    public async Task Acquire_Absurd_IsRefusedAndNamesTheField()
    {
        using var client = new FdClient(Broker.FdSocket);
        foreach (var (name, request, code, field) in AbsurdAcquires.All().Where(absurd => absurd.Field != "request_id"))
        {
            var answer = await client.AskAsync(FdClient.Acquire(request, name));
            Assert.True(answer?.Error is { Closing: false } error && error.Code == (uint)code && error.RequestId == name, $"{name}: {answer}");
            Assert.True((answer.Error.Detail?.Field ?? "") == field, $"{name}: the answer names \"{answer.Error.Detail?.Field}\" instead of \"{field}\"");
        }

        Assert.Equal("good", (await client.AskAsync(FdClient.Acquire(OnePage, "good")))?.Delivery?.RequestId);
    }

    [Fact]
    public async Task Acquire_InAPacketThatIsTooLongOrCutOff_IsAnsweredAndTheConnectionClosed()
    {
        byte[] valid = FdClient.Acquire(OnePage, "x");
        byte[][] packets =
        [
            valid[..^1],
            FdClient.Acquire(new AcquireRequest { Device = new string('x', 64 << 10) }, "x"),
            [.. valid, 0xff],
            FdClient.Acquire(OnePage, ""),
            FdClient.Acquire(OnePage, new string('x', 65)),
        ];
        foreach (byte[] packet in packets)
        {
            using var client = new FdClient(Broker.FdSocket);
            var answer = await client.AskAsync(packet);
            Assert.True(answer?.Error is { Code: (uint)StatusCode.InvalidArgument, Closing: true, Message.Length: > 0 }, $"{packet.Length} bytes: {answer}");
            Assert.Null(await client.ReceiveAsync());
        }

        await AssertNothingOfOursAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(253)]
    public async Task Acquire_WithFds_IsAnsweredAndTheConnectionClosed(int count)
    {
        using var file = Memfd.Create("hostile", 4096);
        using var client = new FdClient(Broker.FdSocket);

        var answer = await client.AskAsync(FdClient.Acquire(OnePage, "x"), [.. Enumerable.Repeat<FileDescriptor>(file, count)]);

        Assert.True(answer?.Error is { Code: (uint)StatusCode.InvalidArgument, Closing: true }, $"{answer}");
        Assert.Null(await client.ReceiveAsync());
        await AssertNothingOfOursAsync();
    }

    [Fact]
    public async Task Acquire_TenThousandPastTheQuota_AreRefusedAndNothingIsHeldForThem()
    {
        // Of another user: this one's quota is the citizen's, too.
        var stranger = await StartStrangerAsync("stranger");
        int delivered = 0, refused = 0;
        for (int i = 0; i < 10_000; i++)
        {
            string shown = await stranger.AskAsync($"show {Broker.FdSocket} {Convert.ToHexStringLower(FdClient.Acquire(OnePage, $"{i}"))}");
            var answer = FdResponse.Parser.ParseFrom(Convert.FromHexString(shown));
            delivered += answer.Delivery?.RequestId == $"{i}" ? 1 : 0;
            refused += answer.Error is { Code: (uint)StatusCode.ResourceExhausted, Closing: false } error && error.RequestId == $"{i}" ? 1 : 0;
        }

        Assert.Equal((LeasesPerUid, 10_000 - LeasesPerUid), (delivered, refused));
    }

    [Fact]
    public async Task Client_ThatAsksAndNeverReads_IsDisconnectedAndHoldsWhatItWasSent()
    {
        var stranger = await StartStrangerAsync("stranger");
        using var client = new FdClient(Broker.FdSocket);
        int asked = 0;
        var flood = await Assert.ThrowsAsync<LinuxException>(async () => await Testing.Wait.Until(
            () =>
            {
                while (client.TrySend(FdClient.Acquire(new AcquireRequest { Device = "no such device" }, $"{asked}")))
                {
                    asked++;
                }

                return false;
            },
            "a client that sends and does not read is disconnected",
            Patience.Long));

        Assert.Contains(flood.Errno, new[] { Errno.EPIPE, Errno.ECONNRESET });
        var answer = await stranger.AskAsync($"show {Broker.FdSocket} {Convert.ToHexStringLower(FdClient.Acquire(OnePage, "stranger"))}");
        Assert.NotNull(FdResponse.Parser.ParseFrom(Convert.FromHexString(answer)).Delivery);
        await AssertNothingOfOursAsync();
    }

    [Fact]
    public async Task Acquire_ByAnotherProcess_IsItsOwnAndEndsWithIt()
    {
        var holder = await Processes.StartAsync("holder");

        string shown = await holder.AskAsync($"show {Broker.FdSocket} {Convert.ToHexStringLower(FdClient.Acquire(OnePage, "mine"))}");
        var lease = FdResponse.Parser.ParseFrom(Convert.FromHexString(shown)).Delivery.Lease;
        holder.Signal(Mono.Unix.Native.Signum.SIGKILL);

        Assert.Equal((LeaseState.Active, holder.Pid), (lease.State, lease.Owner.Pid));
        await Testing.Wait.Until(async () => (await GetAsync(lease.Id)).EndReason == EndReason.ClientExited, "the lease ends with the process that acquired it", Patience.Long);
    }

    private async Task AssertNothingOfOursAsync()
    {
        // The citizen is of this uid, too, and has one or two.
        var mine = (await Rpc.Leases.ListLeasesAsync(new ListLeasesRequest())).Leases;
        Assert.InRange(mine.Count, 1, 2);
    }
}
