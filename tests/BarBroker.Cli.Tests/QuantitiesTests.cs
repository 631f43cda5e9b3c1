// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Parsing;
using BarBroker.Client;

namespace BarBroker.Cli.Tests;

public sealed class QuantitiesTests
{
    [Theory]
    [InlineData("4096", 4096ul)]
    [InlineData("0x1000", 4096ul)]
    [InlineData("64KiB", 65536ul)]
    [InlineData("16mib", 16ul << 20)]
    [InlineData("1GiB", 1ul << 30)]
    public void TrySize_Text_IsBytes(string text, ulong bytes)
    {
        Assert.True(Quantities.TrySize(text, out ulong size));
        Assert.Equal(bytes, size);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-1")]
    [InlineData("4 KiB")]
    [InlineData("1.5MiB")]
    [InlineData("KiB")]
    [InlineData("0x")]
    [InlineData("99999999999GiB")]
    [InlineData("64KB")]
    public void TrySize_Nonsense_IsRefused(string text) => Assert.False(Quantities.TrySize(text, out _));

    [Theory]
    [InlineData("250ms", 0.25)]
    [InlineData("30s", 30)]
    [InlineData("1.5", 1.5)]
    [InlineData("5m", 300)]
    [InlineData("1h", 3600)]
    public void TryDuration_Text_IsSeconds(string text, double seconds)
    {
        Assert.True(Quantities.TryDuration(text, out var duration));
        Assert.Equal(seconds, duration.TotalSeconds, 6);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-5s")]
    [InlineData("5 s")]
    [InlineData("forever")]
    [InlineData("99999999999999999999h")]
    public void TryDuration_Nonsense_IsRefused(string text) => Assert.False(Quantities.TryDuration(text, out _));

    [Fact]
    public void ToBuffer_SizeOrRanges_KeepsTheirOrder()
    {
        Assert.Equal((2, 65536ul), (Quantities.ToBuffer("2:64KiB")!.Bar, Quantities.ToBuffer("2:64KiB")!.Size));
        Assert.Equal([new BarRange(0x4000, 0x1000), new BarRange(0, 0x2000)], Quantities.ToBuffer("0:0x4000+0x1000,0x0+8KiB")!.Ranges);
    }

    [Theory]
    [InlineData("64KiB")]
    [InlineData("x:64KiB")]
    [InlineData("-1:64KiB")]
    [InlineData("0:")]
    [InlineData("0:0x1000+")]
    [InlineData("0:0x1000+0x1000,")]
    public void ToBuffer_Nonsense_IsNull(string text) => Assert.Null(Quantities.ToBuffer(text));
}
