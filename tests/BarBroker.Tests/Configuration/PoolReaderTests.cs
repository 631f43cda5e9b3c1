// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Text;
using BarBroker.Configuration;
using BarBroker.Pools;

namespace BarBroker.Tests.Configuration;

public sealed class PoolReaderTests
{
    private const string Devices = """
        [ { "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "64KiB" }, { "index": 2, "size": "1MiB" } ] },
          { "name": "nic0", "kind": "vfio", "address": "0000:01:00.0" } ]
        """;

    [Fact]
    public void Parse_SlotsAndWindow_AreReadAsWritten()
    {
        var pool = Assert.Single(Read("""
            { "name": "q", "devices": [ "sim*" ], "count": 4, "scrub": "0xdeadbeef",
              "buffers": [ { "bar": 0, "offset": "4KiB", "size": "4KiB", "stride": "8KiB" }, { "bar": 2, "size": 8192 },
                           { "bar": 2, "offset": "512KiB", "length": "256KiB", "granularity": "16KiB", "alignment": "64KiB", "allowSplit": false } ] }
            """));

        Assert.Equal(("q", 4, 0xdeadbeefu), (pool.Name, pool.Count, pool.Scrub));
        Assert.Equal(["sim*"], pool.Devices);
        Assert.Equal(
            [new SlotBuffer(0, 4096, 4096, 8192), new SlotBuffer(2, 0, 8192, 8192), new WindowBuffer(2, 512 << 10, 256 << 10, 16 << 10, 64 << 10, false)],
            pool.Buffers);
    }

    [Fact]
    public void Parse_Defaults_AllDevicesAsManyAsFitNotScrubbed()
    {
        var pools = Read("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "devices": "sim0" }, { "name": "b", "buffers": [ { "bar": 2, "granularity": "8KiB" } ], "scrub": "none" }""");

        Assert.Equal((null, null, 16), (pools[0].Count, pools[0].Scrub, pools[0].FitOn([new(0, 65536)], 4096).Slots));
        Assert.Equal(["*"], pools[1].Devices);
        Assert.Null(pools[1].Scrub);
        Assert.Equal(new WindowBuffer(2, 0, null, 8192, 8192, true), pools[1].Buffers[0]);
    }

    [Theory]
    [InlineData("""{ "buffers": [ { "size": "4KiB" } ] }""", "pools[0].name")]
    [InlineData("""{ "name": "a b", "buffers": [ { "size": "4KiB" } ] }""", "pools[0].name")]
    [InlineData("""{ "name": "a" }""", "pools[0].buffers")]
    [InlineData("""{ "name": "a", "buffers": [ {} ] }""", "pools[0].buffers[0].size")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "5000" } ] }""", "pools[0].buffers[0].size")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "8KiB", "stride": "4KiB" } ] }""", "pools[0].buffers[0].stride")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB", "offset": 100 } ] }""", "pools[0].buffers[0].offset")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB", "granularity": "4KiB" } ] }""", "pools[0].buffers[0].size")]
    [InlineData("""{ "name": "a", "buffers": [ { "granularity": "12KiB" } ] }""", "pools[0].buffers[0].granularity")]
    [InlineData("""{ "name": "a", "buffers": [ { "granularity": "8KiB", "length": "12KiB" } ] }""", "pools[0].buffers[0].length")]
    [InlineData("""{ "name": "a", "buffers": [ { "granularity": "8KiB" } ], "count": 2 }""", "pools[0].count")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "count": 65537 }""", "pools[0].count")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "scrub": "zeros" }""", "pools[0].scrub")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "devices": "none*" }""", "pools[0].devices")]
    [InlineData("""{ "name": "a", "buffers": [ { "bar": 1, "size": "4KiB" } ] }""", "pools[0].buffers")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "128KiB" } ] }""", "pools[0].buffers")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "8KiB" }, { "size": "4KiB", "offset": "4KiB", "stride": "8KiB" } ], "devices": "sim0" }""", "pools[0].buffers")]
    [InlineData("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "count": 1 }, { "name": "a", "buffers": [ { "size": "4KiB", "offset": "8KiB" } ], "count": 1 }""", "pools[1].name")]
    public void Parse_Faulty_NamesTheKey(string pools, string path)
    {
        var exception = Assert.Throws<ConfigurationException>(() => Read(pools));

        Assert.Contains(path, exception.Faults.Select(static fault => fault.Path));
    }

    [Fact]
    public void Parse_PoolsOverlapOnADevice_FaultThatNamesThem()
    {
        const string first = """{ "name": "first", "devices": "sim0", "buffers": [ { "size": "4KiB", "stride": "8KiB" } ] },""";

        Assert.Contains(
            "overlaps with pool first, at [0x2000, +0x1000) of BAR 0 of sim0", Fault(first + """{ "name": "second", "buffers": [ { "offset": "8KiB", "size": "4KiB" } ], "count": 1 }"""), StringComparison.Ordinal);
        // Between its slots, behind its last one, and on another device there is room.
        Read(first + """{ "name": "second", "buffers": [ { "offset": "4KiB", "size": "4KiB", "stride": "8KiB" } ] }""");
        Read(first.Replace("\"size\"", "\"bar\": 2, \"size\"", StringComparison.Ordinal) + """{ "name": "second", "devices": "nic*", "buffers": [ { "bar": 2, "size": "4KiB" } ] }""");
    }

    [Fact]
    public void Parse_BarsNotKnownYet_PoolWithoutCountIsWithoutEnd()
    {
        const string second = """{ "name": "second", "devices": "nic0", "buffers": [ { "offset": "1MiB", "size": "4KiB" } ] }""";

        Assert.Contains("of BAR 0 of nic0", Fault("""{ "name": "first", "devices": "nic0", "buffers": [ { "size": "4KiB" } ] },""" + second), StringComparison.Ordinal);
        Read("""{ "name": "first", "devices": "nic0", "buffers": [ { "size": "4KiB" } ], "count": 256 },""" + second);
    }

    [Fact]
    public void Between_OtherPools_NeedRestart()
    {
        var before = Options("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "count": 1 }, { "name": "b", "buffers": [ { "bar": 2, "size": "4KiB" } ] }""");
        var now = Options("""{ "name": "b", "buffers": [ { "bar": 2, "size": "4KiB" } ] }, { "name": "a", "buffers": [ { "size": "4KiB" } ], "count": 1 }""");
        var other = Options("""{ "name": "a", "buffers": [ { "size": "4KiB" } ], "count": 2 }, { "name": "c", "buffers": [ { "bar": 2, "size": "4KiB" } ] }""");

        Assert.Empty(ConfigurationChanges.Between(before, before.Leases, now).NeedRestart);
        Assert.Equal(["pools: a (changed)", "pools: b (removed)", "pools: c (added)"], ConfigurationChanges.Between(before, before.Leases, other).NeedRestart);
    }

    private static string Fault(string pools) => string.Join("; ", Assert.Throws<ConfigurationException>(() => Read(pools)).Faults.Select(static fault => fault.Message));

    private static ImmutableArray<Pool> Read(string pools) => Options(pools).Leases.Pools;

    private static BrokerOptions Options(string pools) =>
        ConfigurationFile.Parse(Encoding.UTF8.GetBytes($$"""{ "devices": {{Devices}}, "pools": [ {{pools}} ] }"""), "test", null, new ConfigurationFaults());
}
