// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Linux.Tests;

[Collection(typeof(Alone))]
public sealed class FileDescriptorTests : TestBase
{
    [Fact]
    public void Open_NoSuchFile_NamesCallAndPath()
    {
        var exception = Assert.Throws<LinuxException>(() => FileDescriptor.Open("/nonexistent/file"));

        Assert.Equal(("open", "/nonexistent/file", Errno.ENOENT), (exception.Call, exception.Target, exception.Errno));
        Assert.Equal("open on /nonexistent/file: No such file or directory (ENOENT)", exception.Message);
    }

    [Fact]
    public void Duplicate_OriginalDisposed_Lives()
    {
        var original = FileDescriptor.Open("/dev/null");
        using var copy = original.Duplicate();
        original.Dispose();

        Assert.NotEqual(original.Number, copy.Number);
        Assert.Equal(0ul, copy.GetSize());
    }
}
