// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Memory;

[Collection(typeof(Alone))]
public sealed class MemfdTests : TestBase
{
    private const ulong Page = 4096;

    [Fact]
    public void Create_Size_IsThatManyZeros()
    {
        using var memory = Memfd.Create("test", 2 * Page);
        var content = new byte[(2 * Page) + 1];
        content.AsSpan().Fill(1);

        Assert.Equal(2 * (int)Page, memory.Read(0, content));
        Assert.Equal(new byte[2 * Page], content[..^1]);
        Assert.Equal(2 * Page, memory.GetSize());
    }

    [Fact]
    public void Create_NameTooLong_SaysWhatFailed()
    {
        var exception = Assert.Throws<LinuxException>(() => Memfd.Create(new string('x', 300), 1));

        Assert.Equal(("memfd_create", Errno.EINVAL), (exception.Call, exception.Errno));
    }

    [Fact]
    public void SetSize_TooLarge_FailsAndLeavesNoDescriptor() => Assert.ThrowsAny<Exception>(() => Memfd.Create("test", ulong.MaxValue));

    [Fact]
    public void Write_PastTheEndOfASealedOne_Fails()
    {
        using var memory = Memfd.Create("test", Page);
        memory.AddSeals(MemfdSeals.Grow | MemfdSeals.Seal);

        Assert.Equal(Errno.EPERM, Assert.Throws<LinuxException>(() => memory.Write(Page - 1, [1, 2])).Errno);
        Assert.Equal(Errno.EPERM, Assert.Throws<LinuxException>(() => memory.SetSize(Page + 1)).Errno);
        Assert.Equal(Errno.EPERM, Assert.Throws<LinuxException>(() => memory.AddSeals(MemfdSeals.Shrink)).Errno);
        Assert.Equal(MemfdSeals.Grow | MemfdSeals.Seal, memory.GetSeals() & ~MemfdSeals.Exec);
        memory.SetSize(0);
        Assert.Equal(0ul, memory.GetSize());
    }

    [Fact]
    public void FindData_WrittenHere_SkipsTheHoles()
    {
        using var memory = Memfd.Create("test", 16 * Page);
        memory.Write(3 * Page, [1]);
        memory.Write((4 * Page) + 7, [1]);
        memory.Write(9 * Page, [1]);

        Assert.Equal((3 * Page, 2 * Page), memory.FindData(0, 16 * Page));
        Assert.Equal(((3 * Page) + 5, Page), memory.FindData((3 * Page) + 5, (4 * Page) + 5));
        Assert.Equal((9 * Page, Page), memory.FindData(5 * Page, 16 * Page));
        Assert.Null(memory.FindData(5 * Page, 9 * Page));
        Assert.Null(memory.FindData(10 * Page, 16 * Page));
        Assert.Null(memory.FindData(16 * Page, 17 * Page));
    }

    [Fact]
    public void PunchHole_Content_ReadsAsZeros()
    {
        using var memory = Memfd.Create("test", 2 * Page);
        memory.Write(0, [1]);
        memory.Write(Page, [2]);

        memory.PunchHole(0, Page);

        Assert.Equal((Page, Page), memory.FindData(0, 2 * Page));
        Assert.Equal(2 * Page, memory.GetSize());
    }

    [Fact]
    public void Retain_OriginalDisposed_KeepsTheDescriptorOpen()
    {
        var original = Memfd.Create("retained", Page);
        var retained = original.Retain();

        original.Dispose();
        Assert.Equal(Page, retained.GetSize());
        Assert.Equal(1, OpenFiles.Now().Count("memfd:retained"));

        retained.Dispose();
        Assert.Equal(0, OpenFiles.Now().Count("memfd:retained"));
    }

    [Fact]
    public void Retain_OfADisposedOne_Throws()
    {
        var original = Memfd.Create("test", Page);
        original.Dispose();

        Assert.Throws<ObjectDisposedException>(original.Retain);
    }

    [Fact]
    public void SetInheritable_Descriptor_SaysSoToChildren()
    {
        using var memory = Memfd.Create("inherited", Page);
        Assert.DoesNotContain("memfd:inherited", Children());

        memory.SetInheritable(true);

        Assert.Contains("memfd:inherited", Children());
    }

    private static string Children() => NativeProgram.Run("ls", "-l", "/proc/self/fd").Output;
}
