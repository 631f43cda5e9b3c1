// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;

namespace BarBroker.Linux.Tests.Memory;

public sealed class MappingCopierTests
{
    private const int Size = 256 * 1024;
    private const int Half = Size / 2;

    [Fact]
    public void CopyOut_WholeMapping_GivesItsBytes()
    {
        using var memory = Memfd.Create("test", Size);
        byte[] pattern = Pattern();
        memory.Write(0, pattern);
        using var mapping = Mapping.Map(memory, Size, writable: false);
        using var copier = new MappingCopier(mapping);

        var read = new byte[Size - 5];

        Assert.Equal(read.Length, copier.CopyOut(5, read));
        Assert.Equal(pattern.AsSpan(5).ToArray(), read);
    }

    [Fact]
    public void CopyIn_WholeMapping_ReachesTheFile()
    {
        using var memory = Memfd.Create("test", Size);
        using var mapping = Mapping.Map(memory, Size, writable: true);
        using var copier = new MappingCopier(mapping);
        byte[] pattern = Pattern();

        Assert.Equal(Size, copier.CopyIn(0, pattern));

        var read = new byte[Size];
        memory.Read(0, read);
        Assert.Equal(pattern, read);
    }

    [Fact]
    public void CopyOut_SecondHalfGone_GivesTheFirst()
    {
        using var memory = Memfd.Create("test", Size);
        byte[] pattern = Pattern();
        memory.Write(0, pattern);
        using var mapping = Mapping.Map(memory, Size, writable: false);
        using var copier = new MappingCopier(mapping);
        memory.SetSize(Half);

        var read = new byte[Size];

        Assert.Equal(Half - 100, copier.CopyOut(100, read.AsSpan(0, Size - 100)));
        Assert.Equal(pattern.AsSpan(100, Half - 100), read.AsSpan(0, Half - 100));
        Assert.Equal(0, copier.CopyOut(Half, read.AsSpan(0, 1)));
    }

    [Fact]
    public void CopyIn_SecondHalfGone_WritesTheFirst()
    {
        using var memory = Memfd.Create("test", Size);
        using var mapping = Mapping.Map(memory, Size, writable: true);
        using var copier = new MappingCopier(mapping);
        memory.SetSize(Half);
        byte[] pattern = Pattern();

        Assert.Equal(Half, copier.CopyIn(0, pattern));
        Assert.Equal(0, copier.CopyIn(Half, pattern.AsSpan(0, 1)));

        var read = new byte[Half];
        memory.Read(0, read);
        Assert.Equal(pattern.AsSpan(0, Half).ToArray(), read);
    }

    [Fact]
    public void CopyIn_MappingForReading_WritesNothing()
    {
        using var memory = Memfd.Create("test", Size);
        using var mapping = Mapping.Map(memory, Size, writable: false);
        using var copier = new MappingCopier(mapping);

        Assert.Equal(0, copier.CopyIn(0, [1, 2, 3]));
    }

    private static byte[] Pattern()
    {
        var pattern = new byte[Size];
        new Random(1).NextBytes(pattern);
        return pattern;
    }
}
