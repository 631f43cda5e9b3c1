// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Processes;

[Collection(typeof(Alone))]
public sealed class HeldFileTests
{
    private const ulong Page = 4096;
    private const int SigKill = 9;

    [Fact]
    public void Find_AnotherDescriptorOfTheFile_IsNamed()
    {
        using var memory = Memfd.Create("held", Page);
        using var other = memory.Duplicate();
        using var itself = PidFd.Open(Environment.ProcessId);

        Assert.StartsWith("descriptor ", HeldFile.Find(itself, memory), StringComparison.Ordinal);
    }

    [Fact]
    public void Find_ChildThatInheritedIt_HoldsItAndNotAFileOfTheSameName()
    {
        using var memory = Memfd.Create("held", Page);
        using var same = Memfd.Create("held", Page);
        memory.SetInheritable(true);
        using var child = Sleep();
        memory.SetInheritable(false);
        using var process = PidFd.Open(child.Id);
        try
        {
            Assert.Equal($"descriptor {memory.Number}", HeldFile.Find(process, memory));
            Assert.Null(HeldFile.Find(process, same));
        }
        finally
        {
            process.SendSignal(SigKill);
            child.WaitForExit();
        }

        Assert.Equal(Errno.ESRCH, Assert.Throws<LinuxException>(() => HeldFile.Find(process, memory)).Errno);
    }

    [Fact]
    public void FindMapping_MappedFile_IsNamedAndAnotherOfTheSameNameIsNot()
    {
        using var memory = Memfd.Create("held", Page);
        using var same = Memfd.Create("held", Page);
        using var mapping = Mapping.Map(memory, Page, writable: true);

        Assert.StartsWith("mapping ", HeldFile.FindMapping(Environment.ProcessId, memory), StringComparison.Ordinal);
        Assert.Null(HeldFile.FindMapping(Environment.ProcessId, same));
    }

    private static Process Sleep() => Process.Start(new ProcessStartInfo("sleep", "1000") { UseShellExecute = false })!;
}
