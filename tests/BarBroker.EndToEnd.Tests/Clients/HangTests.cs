// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Clients;

/// <summary>Processes that live and do nothing any more, with the client library as it is meant to be used. That clients without it end is in the revocation matrix.</summary>
public sealed class HangTests : ClientsTestBase
{
    [Fact]
    public async Task WorkLoop_HangsWhileItsProcessLives_LosesTheLeaseAndIsTold()
    {
        await StartAsync(OneDevice());
        var (works, kept) = await WorkAsync("ttl=20", "hang=20");
        var (hangs, unrenewed) = await WorkAsync("ttl=4");
        var (hangsLong, hung) = await WorkAsync("ttl=60", "hang=4");
        var (stopped, silent) = await WorkAsync("ttl=4");

        foreach (var process in new[] { hangs, hangsLong })
        {
            Assert.Equal(0, Syscall.kill(process.Pid, Signum.SIGUSR1));
            await process.LineAsync("hung");
        }

        Assert.Equal(0, Syscall.kill(stopped.Pid, Signum.SIGSTOP));

        Assert.Equal(EndReason.Expired, (await EndOfAsync(unrenewed)).EndReason);
        Assert.Equal(EndReason.ClientHung, (await EndOfAsync(hung)).EndReason);
        Assert.Equal(EndReason.Expired, (await EndOfAsync(silent)).EndReason);
        Assert.Equal(0, Syscall.kill(stopped.Pid, Signum.SIGCONT));
        await hangs.LineAsync("lost Expired");
        await hangsLong.LineAsync("lost ClientHung");
        await stopped.LineAsync("lost Expired");
        Assert.Equal(LeaseState.Active, (await LookAsync(kept)).State);
        Assert.Equal(0, Syscall.kill(works.Pid, Signum.SIGUSR2));
        Assert.Equal(0, await works.WaitAsync(Patience.Long));
        Assert.Equal(EndReason.Released, (await EndOfAsync(kept)).EndReason);
        Assert.Empty(Broker.Errors);
    }
}
