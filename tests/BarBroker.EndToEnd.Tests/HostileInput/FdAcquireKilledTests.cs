// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.HostileInput;

public sealed class FdAcquireKilledTests : TestBase
{
    [Fact]
    public async Task Process_KilledWhileItsAcquireIsUnderWay_LeavesNoLease()
    {
        var directory = Own(new TestDirectory());
        string faults = directory.File("faults");
        await File.WriteAllTextAsync(faults, "export stuck", Cancellation);
        var broker = Own(await Daemon.StartAsync(directory.Path, new BrokerConfiguration().Device("sim0", "4MiB", faults).Write(directory.Path)));
        using var forOperator = RpcClient.Dial(broker.OperatorSocket);
        var processes = Own(new HolderProcesses(directory.Path));
        var holder = await processes.StartAsync("holder");
        byte[] packet = FdClient.Acquire(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } }, "never answered");

        var asking = holder.AskAsync($"show {broker.FdSocket} {Convert.ToHexStringLower(packet)}");
        await Wait.Until(async () => (await LeasesAsync(ended: false)).Count == 1, "the acquire is under way", Patience.Long);
        holder.Signal(Mono.Unix.Native.Signum.SIGKILL);
        await Assert.ThrowsAnyAsync<Exception>(() => asking);
        await Wait.Until(async () => (await LeasesAsync(ended: false)).All(lease => lease.EndReason != EndReason.Unspecified), "the end of the lease is decided", Patience.Long);
        File.Delete(faults);

        await Wait.Until(async () => (await LeasesAsync(ended: false)).Count == 0, "no lease is left", Patience.Long);

        // Its connection and its process end at the same time; either is a reason.
        Assert.Contains(Assert.Single(await LeasesAsync(ended: true)).EndReason, new[] { EndReason.Released, EndReason.ClientExited });
        Assert.Empty(broker.Errors);

        async Task<IReadOnlyList<Lease>> LeasesAsync(bool ended) =>
            (await forOperator.Operator.ListLeasesAsync(new OperatorListLeasesRequest { IncludeEnded = ended })).Leases;
    }
}
