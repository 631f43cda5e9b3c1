// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;

namespace BarBroker.Linux.Tests.Memory;

public sealed class MappingAccessTests
{
    [Fact]
    public void Write32_Aligned_IsReadBack()
    {
        using var memory = Memfd.Create("test", 4096);
        using var mapping = Mapping.Map(memory, 4096, writable: true);

        mapping.Write32(4092, 0x01020304);

        Assert.Equal(0x01020304u, mapping.Read32(4092));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Read32(4094));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.Read32(4096));
    }
}
