// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Events;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Events;

[Collection(typeof(Alone))]
public sealed class EpollTests : TestBase
{
    private readonly ulong[] _keys = new ulong[8];

    [Fact]
    public void Wait_TwoReady_TellsBothKeys()
    {
        using var epoll = new Epoll();
        using var first = new EventFd();
        using var second = new EventFd();
        using var silent = new EventFd();
        epoll.Add(first, ulong.MaxValue);
        epoll.Add(second, 2);
        epoll.Add(silent, 3);
        first.Signal();
        second.Signal();

        int count = epoll.Wait(_keys);

        Assert.Equal([2, ulong.MaxValue], _keys[..count].Order().ToArray());
    }

    [Fact]
    public void Wait_AddedOnce_TellsOnceOnly()
    {
        using var epoll = new Epoll();
        using var once = new EventFd();
        using var always = new EventFd();
        epoll.AddOnce(once, 1);
        epoll.Add(always, 2);
        once.Signal();
        always.Signal();

        Assert.Equal(2, epoll.Wait(_keys));
        Assert.Equal(1, epoll.Wait(_keys));
        Assert.Equal(2ul, _keys[0]);
    }

    [Fact]
    public async Task Wait_AddedFromAnotherThreadWhileWaiting_IsTold()
    {
        using var epoll = new Epoll();
        using var late = new EventFd();
        var waiting = Task.Run(() => epoll.Wait(_keys), Cancellation);

        epoll.Add(late, 9);
        late.Signal();

        Assert.Equal(1, await Wait.For(waiting, "an event that was added while waiting"));
        Assert.Equal(9ul, _keys[0]);
    }

    [Fact]
    public void Remove_Descriptor_IsNotToldAnyMore()
    {
        using var epoll = new Epoll();
        using var removed = new EventFd();
        using var other = new EventFd();
        epoll.Add(removed, 1);
        epoll.Add(other, 2);
        removed.Signal();
        other.Signal();

        epoll.Remove(removed);

        Assert.Equal(1, epoll.Wait(_keys));
        Assert.Equal(2ul, _keys[0]);
        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => epoll.Remove(removed)).Errno);
    }
}
