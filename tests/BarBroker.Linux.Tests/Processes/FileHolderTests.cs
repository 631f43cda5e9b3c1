// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Processes;

namespace BarBroker.Linux.Tests.Processes;

/// <summary>Who has a file open, by a /proc made of files.</summary>
public sealed class FileHolderTests : IDisposable
{
    private readonly string _proc = Directory.CreateTempSubdirectory("barbroker-proc-").FullName;

    [Theory]
    [InlineData("/dev/vfio/7")]
    [InlineData("/vfio/7")]
    public void Of_GroupNode_IsFoundAlsoWhereTheMountOfItIsGone(string target)
    {
        Add(41, target);

        Assert.Equal(new FileHolder(41, "earlier", "/dev/vfio/7"), Assert.Single(FileHolder.Of(["/dev/vfio/7"], _proc)));
    }

    [Theory]
    [InlineData("/dev/vfio/17")]
    [InlineData("/vfio/17")]
    [InlineData("/vfio/")]
    [InlineData("/7")]
    [InlineData("/srv/vfio/7")]
    public void Of_AnotherFile_IsNotFound(string target)
    {
        Add(41, target);

        Assert.Empty(FileHolder.Of(["/dev/vfio/7"], _proc));
    }

    [Fact]
    public void Of_DeviceNodeOfVfio_IsFoundAlsoWhereTheMountOfItIsGone()
    {
        Add(41, "/vfio/devices/vfio0");

        Assert.Equal("/dev/vfio/devices/vfio0", Assert.Single(FileHolder.Of(["/dev/vfio/7", "/dev/vfio/devices/vfio0"], _proc)).File);
    }

    [Fact]
    public void Of_NodeOfSomethingElse_CountsOnlyByItsWholeName()
    {
        Add(41, "/nvme0n1");

        Assert.Empty(FileHolder.Of(["/dev/nvme0n1"], _proc));
    }

    public void Dispose() => Directory.Delete(_proc, recursive: true);

    private void Add(int pid, string target)
    {
        string process = Path.Combine(_proc, $"{pid}");
        Directory.CreateDirectory(Path.Combine(process, "fd"));
        File.WriteAllText(Path.Combine(process, "comm"), "earlier\n");
        File.CreateSymbolicLink(Path.Combine(process, "fd/5"), target);
    }
}
