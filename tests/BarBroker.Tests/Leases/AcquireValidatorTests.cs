// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using static BarBroker.Tests.Leases.LeaseFixture;

namespace BarBroker.Tests.Leases;

public sealed class AcquireValidatorTests
{
    private static readonly AcquireRequest Good = Explicit(Pages(0, 1));

    public static TheoryData<string, string> Wrong => new(Cases.Select(static c => (c.Name, c.Field)));

    private static (string Name, AcquireRequest Request, string Field)[] Cases =>
    [
        ("no buffers", Request(), "buffers"),
        ("nine buffers", Request([.. Enumerable.Range(0, 9).Select(static i => new BufferRequest(0, [Pages((ulong)i, 1)]))]), "buffers"),
        ("no ranges, no size", Request(new BufferRequest(0, [])), "buffers[0].ranges"),
        ("default ranges", Request(new BufferRequest(0, default)), "buffers[0].ranges"),
        ("ranges and size", Request(new BufferRequest(0, [Pages(0, 1)], Page)), "buffers[0].size"),
        ("65 ranges", Explicit([.. Enumerable.Range(0, 65).Select(static i => Pages((ulong)i * 2, 1))]), "buffers[0].ranges"),
        ("BAR 6", Request(new BufferRequest(6, [Pages(0, 1)])), "buffers[0].bar"),
        ("negative BAR", Request(new BufferRequest(-1, [Pages(0, 1)])), "buffers[0].bar"),
        ("BAR that is not there", Request(new BufferRequest(1, [Pages(0, 1)])), "buffers[0].bar"),
        ("empty range", Explicit(Pages(0, 1), Pages(3, 0)), "buffers[0].ranges[1].length"),
        ("unaligned offset", Explicit(Pages(0, 1), new BarRange(Page + 1, Page)), "buffers[0].ranges[1].offset"),
        ("unaligned length", Explicit(new BarRange(Page, 100)), "buffers[0].ranges[0].length"),
        ("past 64 bits", Explicit(new BarRange(ulong.MaxValue - Page + 1, Page)), "buffers[0].ranges[0].length"),
        ("far past 64 bits", Explicit(new BarRange(Page, ulong.MaxValue - Page + 1)), "buffers[0].ranges[0].length"),
        ("starts past the end", Explicit(Pages(256, 1)), "buffers[0].ranges[0].offset"),
        ("ends past the end", Explicit(Pages(255, 2)), "buffers[0].ranges[0].length"),
        ("overlap in a buffer", Explicit(Pages(0, 2), Pages(1, 1)), "buffers[0].ranges[1]"),
        ("overlap of buffers", Request(new BufferRequest(0, [Pages(4, 2)]), new BufferRequest(0, [Pages(5, 2)])), "buffers[1].ranges[0]"),
        ("overlap read-only", Explicit(Pages(0, 2), Pages(1, 1)) with { Access = BufferAccess.ReadOnly }, "buffers[0].ranges[1]"),
        ("unaligned size", Sized(Page + 1), "buffers[0].size"),
        ("size past the BAR", Sized(257 * Page), "buffers[0].size"),
        ("alignment no power of two", Sized(Page, 3 * Page), "buffers[0].alignment"),
        ("alignment under a page", Sized(Page, 64), "buffers[0].alignment"),
        ("alignment with ranges", Request(new BufferRequest(0, [Pages(0, 1)], Alignment: Page)), "buffers[0].alignment"),
        ("split with ranges", Request(new BufferRequest(0, [Pages(0, 1)], AllowSplit: true)), "buffers[0].allow_split"),
        ("zero TTL", Good with { Ttl = TimeSpan.Zero }, "ttl"),
        ("negative TTL", Good with { Ttl = TimeSpan.MinValue }, "ttl"),
        ("zero hang limit", Good with { HangLimit = TimeSpan.Zero }, "hang_limit"),
        ("long request id", Good with { RequestId = new string('x', 65) }, "request_id"),
        ("17 labels", Good with { Labels = Enumerable.Range(0, 17).ToImmutableDictionary(static i => $"k{i}", static _ => "v") }, "labels"),
        ("empty label key", Good with { Labels = Label("", "v") }, "labels"),
        ("upper-case label key", Good with { Labels = Label("Job", "v") }, "labels"),
        ("long label key", Good with { Labels = Label(new string('k', 64), "v") }, "labels"),
        ("long label value", Good with { Labels = Label("job", new string('v', 256)) }, "labels[\"job\"]"),
        ("unknown access", Good with { Access = (BufferAccess)7 }, "access"),
        ("unknown attribute", Good with { Attribute = (MemoryAttribute)7 }, "memory_attribute"),
    ];

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Acquire_WrongRequest_IsRefusedAndNamesTheField(string name, string field)
    {
        using var f = new LeaseFixture();

        LeaseException e = f.Refused(Cases.Single(c => c.Name == name).Request);

        Assert.Equal((LeaseError.Invalid, field), (e.Error, e.Field));
        Assert.Empty(f.Manager.List(LeaseFilter.All with { IncludeEnded = true }));
        Assert.Equal(f.Device.BarSize, f.Manager.Device("dev0").Bars[0].Free);
    }

    [Fact]
    public void Acquire_RangePastTheEnd_SaysHowLargeTheBarIs()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0", barSize: 64 << 20));

        Assert.Equal("BAR 0 of dev0 has 64 MiB; range [0x3fff000, +0x2000) ends past it", f.Refused(Explicit(new BarRange(0x3fff000, 0x2000))).Message);
    }

    [Fact]
    public void Acquire_WhatTheDeviceCannotDo_IsUnsupported()
    {
        using var f = new LeaseFixture(null, new FakeDevice("dev0") { Accesses = [BufferAccess.ReadWrite] });

        LeaseException readOnly = f.Refused(Good with { Access = BufferAccess.ReadOnly });
        LeaseException combining = f.Refused(Good with { Attribute = MemoryAttribute.WriteCombining });

        Assert.Equal((LeaseError.Unsupported, "access"), (readOnly.Error, readOnly.Field));
        Assert.Equal((LeaseError.Unsupported, "memory_attribute"), (combining.Error, combining.Field));
    }

    [Fact]
    public void Acquire_UnknownDevice_IsNotFound()
    {
        using var f = new LeaseFixture();

        Assert.Equal((LeaseError.NotFound, "device"), (f.Refused(Good with { Device = "dev9" }).Error, f.Refused(Good with { Device = "dev9" }).Field));
    }

    [Fact]
    public void Acquire_LargestRequestAllowed_IsGranted()
    {
        using var f = new LeaseFixture();
        BarRange[] ranges = [.. Enumerable.Range(0, 64).Select(static i => Pages((ulong)i * 4, 2))];

        Grant grant = f.Acquire(Explicit(ranges) with
        {
            Labels = Enumerable.Range(0, 16).ToImmutableDictionary(static i => $"{new string('k', 61)}{i:d2}", static _ => new string('v', 255)),
            RequestId = new string('r', 64),
        });

        Assert.Equal(ranges, grant.Lease.Buffers[0].Ranges);
    }

    private static ImmutableDictionary<string, string> Label(string key, string value) => ImmutableDictionary<string, string>.Empty.Add(key, value);
}
