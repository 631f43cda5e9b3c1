// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

/// <summary>Requests that no broker can grant, with the status and the field that the answer must name.</summary>
internal static class AbsurdAcquires
{
    private const ulong Page = 4096;
    private const ulong LastPage = ulong.MaxValue - Page + 1;
    private const ulong BarSize = HostileTestBase.BarSize;

    public static IEnumerable<(string Name, AcquireRequest Request, StatusCode Code, string Field)> All() =>
    [
        .. Ranges().Select(ranges => (ranges.Name, Of(HostileTestBase.Pages(ranges.Ranges)), StatusCode.InvalidArgument, ranges.Field)),
        .. Buffers().Select(buffer => (buffer.Name, Of(buffer.Buffer), StatusCode.InvalidArgument, buffer.Field)),
        .. Others(),
    ];

    private static AcquireRequest Of(params BufferRequest[] buffers) => new() { Device = "sim0", Buffers = { buffers } };

    private static (string Name, (ulong Offset, ulong Length)[] Ranges, string Field)[] Ranges() =>
    [
        ("unaligned offset", [(1, Page)], "buffers[0].ranges[0].offset"),
        ("unaligned length", [(0, Page + 1)], "buffers[0].ranges[0].length"),
        ("empty", [(0, 0)], "buffers[0].ranges[0].length"),
        ("empty at the end of the BAR", [(BarSize, 0)], "buffers[0].ranges[0].length"),
        ("behind the end", [(BarSize, Page)], "buffers[0].ranges[0].offset"),
        ("past the end", [(BarSize - Page, 2 * Page)], "buffers[0].ranges[0].length"),
        ("far behind the end", [(1ul << 62, Page)], "buffers[0].ranges[0].offset"),
        ("end overflows to 0", [(Page, LastPage)], "buffers[0].ranges[0].length"),
        ("end overflows into the BAR", [(LastPage, 2 * Page)], "buffers[0].ranges[0].length"),
        ("offset and length of 64 ones", [(ulong.MaxValue, ulong.MaxValue)], "buffers[0].ranges[0].length"),
        ("lengths whose sum overflows", [(0, 1ul << 63), (1ul << 63, 1ul << 62)], "buffers[0].ranges[0].length"),
        ("a thousand", [.. Enumerable.Range(0, 1000).Select(i => ((ulong)i * Page, Page))], "buffers[0].ranges"),
        ("sixty-five", [.. Enumerable.Range(0, 65).Select(i => ((ulong)i * Page, Page))], "buffers[0].ranges"),
        ("the same twice", [(Page, Page), (Page, Page)], "buffers[0].ranges[1]"),
        ("overlapping", [(0, 4 * Page), (Page, Page)], "buffers[0].ranges[1]"),
        ("none", [], "buffers[0].ranges"),
    ];

    private static (string Name, BufferRequest Buffer, string Field)[] Buffers() =>
    [
        ("BAR 6", new BufferRequest { Bar = 6, Size = Page }, "buffers[0].bar"),
        ("BAR of 32 ones", new BufferRequest { Bar = uint.MaxValue, Size = Page }, "buffers[0].bar"),
        ("BAR that the device has not", new BufferRequest { Bar = 5, Size = Page }, "buffers[0].bar"),
        ("size not in pages", new BufferRequest { Size = Page + 1 }, "buffers[0].size"),
        ("size larger than the BAR", new BufferRequest { Size = BarSize + Page }, "buffers[0].size"),
        ("size of 2^63", new BufferRequest { Size = 1ul << 63 }, "buffers[0].size"),
        ("alignment that is no power of two", new BufferRequest { Size = Page, Alignment = 3 * Page }, "buffers[0].alignment"),
        ("alignment less than a page", new BufferRequest { Size = Page, Alignment = 8 }, "buffers[0].alignment"),
        ("ranges and size", new BufferRequest { Size = Page, Ranges = { new V1.Range { Length = Page } } }, "buffers[0].size"),
    ];

    private static (string Name, AcquireRequest Request, StatusCode Code, string Field)[] Others() =>
    [

        // With what the uid has already this is more than 64 bits hold, and so past every quota.
        ("size of almost 2^64", Of(new BufferRequest { Size = LastPage }), StatusCode.ResourceExhausted, ""),
        ("no buffers", Of(), StatusCode.InvalidArgument, "buffers"),
        ("nine buffers", Of([.. Enumerable.Range(0, 9).Select(_ => new BufferRequest { Size = Page })]), StatusCode.InvalidArgument, "buffers"),
        ("overlap between buffers", Of(HostileTestBase.Pages((0, 2 * Page)), HostileTestBase.Pages((Page, Page))), StatusCode.InvalidArgument, "buffers[1].ranges[0]"),
        ("TTL of zero", With(request => request.Ttl = new Duration()), StatusCode.InvalidArgument, "ttl"),
        ("negative TTL", With(request => request.Ttl = new Duration { Seconds = -1 }), StatusCode.InvalidArgument, "ttl"),
        ("TTL of 2^63 seconds", With(request => request.Ttl = new Duration { Seconds = long.MaxValue }), StatusCode.InvalidArgument, "ttl"),
        ("TTL with mixed signs", With(request => request.Ttl = new Duration { Seconds = 1, Nanos = -1 }), StatusCode.InvalidArgument, "ttl"),
        ("negative hang limit", With(request => request.HangLimit = new Duration { Nanos = -1 }), StatusCode.InvalidArgument, "hang_limit"),
        ("unknown access", With(request => request.Access = (Access)77), StatusCode.InvalidArgument, "access"),
        ("unknown memory attribute", With(request => request.MemoryAttribute = (MemoryAttribute)(-1)), StatusCode.InvalidArgument, "memory_attribute"),
        ("label with a newline in its key", With(request => request.Labels["a\nb"] = "c"), StatusCode.InvalidArgument, "labels"),
        ("label with an empty key", With(request => request.Labels[""] = "c"), StatusCode.InvalidArgument, "labels"),
        ("label with a long value", With(request => request.Labels["a"] = new string('x', 256)), StatusCode.InvalidArgument, "labels[\"a\"]"),
        ("seventeen labels", With(request => AddLabels(request, 17)), StatusCode.InvalidArgument, "labels"),
        ("long request id", With(request => request.RequestId = new string('x', 65)), StatusCode.InvalidArgument, "request_id"),
        ("unknown pool", With(request => request.Pool = "p"), StatusCode.NotFound, "pool"),
        ("slot without a pool", With(request => request.Slot = uint.MaxValue), StatusCode.InvalidArgument, "slot"),
        ("negative wait", With(request => request.Wait = new Duration { Seconds = -1 }), StatusCode.InvalidArgument, "wait"),
        ("wait that is no duration", With(request => request.Wait = new Duration { Seconds = long.MaxValue, Nanos = int.MinValue }), StatusCode.InvalidArgument, "wait"),
        ("unknown device", With(request => request.Device = "sim0/../sim0"), StatusCode.NotFound, "device"),
        ("device named by 60,000 characters", With(request => request.Device = new string('x', 60_000)), StatusCode.NotFound, "device"),
    ];

    private static void AddLabels(AcquireRequest request, int count)
    {
        for (int i = 0; i < count; i++)
        {
            request.Labels[$"label{i}"] = "";
        }
    }

    private static AcquireRequest With(Action<AcquireRequest> change)
    {
        var request = Of(new BufferRequest { Size = Page });
        change(request);
        return request;
    }
}
