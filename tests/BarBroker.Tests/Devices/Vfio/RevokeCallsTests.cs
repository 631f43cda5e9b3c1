// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices;
using BarBroker.Devices.Vfio;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Tests.Devices.Vfio;

public sealed class RevokeCallsTests : IDisposable
{
    private static readonly TimeSpan _soon = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan _longEnough = TimeSpan.FromSeconds(30);

    private readonly ManualResetEventSlim _letGo = new();
    private readonly List<ExportedBuffer> _buffers = [];

    [Fact]
    public void Revoke_Answered_GivesTheAnswer()
    {
        using var calls = new RevokeCalls("dev0", _longEnough);

        Assert.Equal(Errno.None, calls.Revoke(Buffer(), static () => Errno.None));
        Assert.Equal(Errno.EBADFD, calls.Revoke(Buffer(), static () => Errno.EBADFD));
    }

    [Fact]
    public void Revoke_KernelKeepsTheCall_OthersAreServedAndItIsNotMadeTwice()
    {
        using var calls = new RevokeCalls("dev0", _soon);
        var held = Buffer();
        int made = 0;
        using var done = new ManualResetEventSlim();

        Assert.Null(calls.Revoke(held, Kept));
        Assert.Null(calls.Revoke(held, Kept));
        Assert.Equal(Errno.None, Until(calls, Buffer(), static () => Errno.None));
        _letGo.Set();
        Assert.True(done.Wait(_longEnough, TestContext.Current.CancellationToken), "the call did not end");

        Assert.Equal(Errno.None, Until(calls, held, Kept));
        Assert.Equal(1, made);

        Errno Kept()
        {
            Interlocked.Increment(ref made);
            _letGo.Wait();
            done.Set();
            return Errno.None;
        }
    }

    [Fact]
    public void Revoke_CallThrows_Throws()
    {
        using var calls = new RevokeCalls("dev0", _longEnough);
        var buffer = Buffer();

        var exception = Assert.Throws<IOException>(() => calls.Revoke(buffer, static () => throw new ObjectDisposedException("the device's file")));

        Assert.Contains("the device's file", exception.Message, StringComparison.Ordinal);
        Assert.Equal(Errno.None, calls.Revoke(buffer, static () => Errno.None));
    }

    public void Dispose()
    {
        _letGo.Set();
        _buffers.ForEach(static buffer => buffer.Dispose());
    }

    /// <summary>A call that is answered at once may still find the machine too busy to say so soon.</summary>
    private static Errno? Until(RevokeCalls calls, ExportedBuffer buffer, Func<Errno> revoke)
    {
        Errno? answer = null;
        Assert.True(SpinWait.SpinUntil(() => (answer = calls.Revoke(buffer, revoke)) is not null, _longEnough), "no answer");
        return answer;
    }

    private ExportedBuffer Buffer()
    {
        var buffer = new ExportedBuffer(Memfd.Create("buffer", 4096), 0, [new BarRange(0, 4096)], BufferAccess.ReadWrite);
        _buffers.Add(buffer);
        return buffer;
    }
}
