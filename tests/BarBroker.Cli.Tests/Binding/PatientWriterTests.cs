// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Linux;

namespace BarBroker.Cli.Tests.Binding;

public sealed class PatientWriterTests : BindingTestBase
{
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(30);

    [Fact]
    public void Write_SlowKernel_SaysSoAndReturnsWhenItIsDone()
    {
        using var done = new ManualResetEventSlim();
        string? told = null;
        Kernel.AddDevice(Address, "vfio-pci");
        Kernel.Unbinding = () => Assert.True(done.Wait(_limit), "the writer told what it waits for");
        var writer = new PatientWriter(
            Kernel,
            TimeSpan.FromMilliseconds(1),
            what =>
            {
                told = what;
                done.Set();
            },
            CancellationToken.None);

        writer.Write(Kernel.In("sys/bus/pci/drivers/vfio-pci/unbind"), Address);

        Assert.Equal($"'{Address}' > {Kernel.In("sys/bus/pci/drivers/vfio-pci/unbind")}", told);
    }

    [Fact]
    public void Write_CancelledWhileTheKernelIsAtIt_ReturnsBeforeTheKernel()
    {
        using var done = new ManualResetEventSlim();
        using var stop = new CancellationTokenSource();
        using var ended = new ManualResetEventSlim();
        Kernel.AddDevice(Address, "vfio-pci");
        Kernel.Unbinding = () =>
        {
            done.Wait(_limit);
            ended.Set();
        };
        var writer = new PatientWriter(Kernel, TimeSpan.FromMilliseconds(1), _ => stop.Cancel(), stop.Token);

        Assert.ThrowsAny<OperationCanceledException>(() => writer.Write(Kernel.In("sys/bus/pci/drivers/vfio-pci/unbind"), Address));

        Assert.False(ended.IsSet);
        done.Set();
        Assert.True(ended.Wait(_limit, TestContext.Current.CancellationToken), "the write went on");
    }

    [Fact]
    public void Write_KernelRefuses_ThrowsItsAnswer()
    {
        Kernel.AddDevice(Address);
        Kernel.Refusing.Add("vfio-pci");
        var writer = new PatientWriter(Kernel, _limit, _ => Assert.Fail("not slow"), CancellationToken.None);

        var exception = Assert.Throws<LinuxException>(() => writer.Write(Kernel.In("sys/bus/pci/drivers/vfio-pci/bind"), Address));

        Assert.Equal(Errno.EINVAL, exception.Errno);
    }
}
