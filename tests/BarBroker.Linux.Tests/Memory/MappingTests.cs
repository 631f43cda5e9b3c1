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

    [Theory]
    [InlineData(2ul << 20, 0ul)]
    [InlineData(2ul << 20, 0x5000ul)]
    [InlineData((4ul << 20) + 4096, 0x1ff000ul)]
    public void Map_TwoMegabytesOrMore_LiesInStepWithTheDevice(ulong length, ulong placement)
    {
        using var memory = Memfd.Create("in-step", length);
        using (var mapping = Mapping.Map(memory, length, writable: true, placement))
        {
            Assert.Equal(placement, (ulong)mapping.Address % (2 << 20));
            Assert.Equal(length, mapping.Length);
            Assert.Contains($"{mapping.Address:x}-{mapping.Address + (nint)length:x} rw-s", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
        }

        Assert.DoesNotContain("memfd:in-step", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void Map_ManyTimesTwoMegabytes_KeepsNoReservation()
    {
        const int Times = 100;
        using var memory = Memfd.Create("test", 2 << 20);
        using var refused = Memfd.Create("test", 2 << 20);
        refused.AddSeals(MemfdSeals.FutureWrite);
        long before = AddressesWithoutAccess();

        for (int i = 0; i < Times; i++)
        {
            Mapping.Map(memory, 2 << 20, writable: true, placement: 4096).Dispose();
            Assert.Throws<LinuxException>(() => Mapping.Map(refused, 2 << 20, writable: true));
        }

        // The runtime may reserve some for itself meanwhile, much less than so many reservations would be.
        Assert.InRange(AddressesWithoutAccess() - before, long.MinValue, Times * 4096 * 16L);
    }

    [Fact]
    public void Map_SealedAgainstWriting_IsRefusedWithTheCall()
    {
        using var memory = Memfd.Create("test", 4096);
        memory.AddSeals(MemfdSeals.FutureWrite);

        var exception = Assert.Throws<LinuxException>(() => Mapping.Map(memory, 4096, writable: true));

        Assert.Equal(("mmap", Errno.EPERM), (exception.Call, exception.Errno));
    }

    /// <summary>Bytes, without the largest: those of the runtime's heaps.</summary>
    private static long AddressesWithoutAccess() => File.ReadLines("/proc/self/maps")
        .Where(static line => line.Contains(" ---p ", StringComparison.Ordinal))
        .Select(static line => line.Split(' ')[0].Split('-').Select(static end => Convert.ToInt64(end, 16)).ToArray())
        .Select(static ends => ends[1] - ends[0])
        .Where(static length => length <= 1 << 30)
        .Sum();
}
