// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Events;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Events;

[Collection(typeof(Alone))]
public sealed class EventFdTests : TestBase
{
    [Fact]
    public void Drain_SignalledThrice_TakesThreeAndThenNothing()
    {
        using var happened = new EventFd();
        happened.Signal();
        happened.Signal();
        happened.Signal();

        Assert.Equal(3ul, happened.Drain());
        Assert.Equal(0ul, happened.Drain());
    }
}
