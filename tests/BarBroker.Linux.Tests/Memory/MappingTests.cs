// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Memory;

[Collection(typeof(Alone))]
public sealed class MappingTests : TestBase
{
    [Fact]
    public unsafe void Map_Memfd_IsTheSameMemory()
    {
        using var memory = Memfd.Create("test", 8192);
        using var mapping = Mapping.Map(memory, 8192, writable: true);

        // SAFETY: the mapping is 8192 bytes and lives to the end of the test.
        ((byte*)mapping.Address)[5000] = 42;

        Assert.Equal(8192ul, mapping.Length);
        var content = new byte[1];
        memory.Read(5000, content);
        Assert.Equal(42, content[0]);
    }

    [Fact]
    public void Map_Disposed_IsUnmapped()
    {
        using var memory = Memfd.Create("mapped", 4096);
        using (Mapping.Map(memory, 4096, writable: false))
        {
            Assert.Contains("memfd:mapped", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
        }

        Assert.DoesNotContain("memfd:mapped", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void Map_SealedAgainstWriting_IsRefusedWithTheCall()
    {
        using var memory = Memfd.Create("test", 4096);
        memory.AddSeals(MemfdSeals.FutureWrite);

        var exception = Assert.Throws<LinuxException>(() => Mapping.Map(memory, 4096, writable: true));

        Assert.Equal(("mmap", Errno.EPERM), (exception.Call, exception.Errno));
    }
}
