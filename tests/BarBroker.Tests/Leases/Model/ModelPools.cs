// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Pools;

namespace BarBroker.Tests.Leases.Model;

/// <summary>
/// What the devices have: BAR 0 with 13 pages and BAR 2 with 52. The first 8 and 32 are nobody's; then come three queues, each of a page and two, which are scrubbed; then
/// two frames of a page, with 14 pages of memory that is asked for by size.
/// </summary>
internal static class ModelPools
{
    public const uint Word = 0xfeedface;
    public const int BarPages = 13;

    private const ulong Page = FakeDevice.Page;
    private const int QueueCount = 3;

    private static readonly SlotBuffer QueueFrames = new(0, 8 * Page, Page, Page);
    private static readonly SlotBuffer QueueMemory = new(2, 32 * Page, 2 * Page, 2 * Page);
    private static readonly SlotBuffer FrameSlots = new(0, 11 * Page, Page, Page);
    private static readonly WindowBuffer FrameMemory = new(2, 38 * Page, 14 * Page, Page, Page, AllowSplit: true);

    public static Pool Queues { get; } = new("queues", ["*"], [QueueFrames, QueueMemory], QueueCount, Word);

    public static Pool Frames { get; } = new("frames", ["*"], [FrameSlots, FrameMemory], 2, null);

    /// <summary>The pages of a BAR that a buffer comes from; null: from no pool.</summary>
    public static (int First, int Count) Area(int bar, PoolBuffer? of) =>
        of == QueueFrames ? (8, 3) : of == QueueMemory ? (32, 6) : of == FrameSlots ? (11, 2) : of == FrameMemory ? (38, 14) : bar == 0 ? (0, 8) : (0, 32);

    public static bool IsScrubbed(int bar, int page) => bar == 0 ? page is >= 8 and < 11 : page is >= 32 and < 38;

    /// <summary>A request for a pool as one for buffers; any other as it is.</summary>
    public static AcquireRequest Meant(AcquireRequest asked) => asked.Pool switch
    {
        "queues" => asked with { Source = Queues, Buffers = [Slot(QueueFrames, asked.Slot), Slot(QueueMemory, asked.Slot)] },
        "frames" => asked with
        {
            Source = Frames,
            Buffers = [Slot(FrameSlots, asked.Slot), .. asked.Buffers.Select(static b => b with { Alignment = Math.Max(b.Alignment, Page), Of = FrameMemory })],
        },
        _ => asked,
    };

    /// <summary>Others that only read may have the same pages. Not of what is scrubbed.</summary>
    public static bool IsReadOnly(AcquireRequest request) => request.Access == BufferAccess.ReadOnly && request.Source != Queues;

    /// <summary>
    /// Where what does not name its place may be, whoever is there: for each part of the request the ways to place it, each with the ranges that it takes. Both pages of a queue are
    /// those of the same slot.
    /// </summary>
    public static Way[][] Ways(AcquireRequest request) => request.Source == Queues
        ? request.Buffers[0].Size == 0 ? [] : [[.. Enumerable.Range(0, QueueCount).Select(static s => new Way([(0, 8 + s, 1), (2, 32 + (2 * s), 2)]))]]
        : [.. request.Buffers.Where(static b => b.Size > 0).Select(static b => Starts(b).Select(start => new Way([(b.Bar, start, (int)(b.Size / Page))])).ToArray())];

    private static IEnumerable<int> Starts(BufferRequest buffer)
    {
        (int first, int count) = Area(buffer.Bar, buffer.Of);
        int size = (int)(buffer.Size / Page);
        int step = (int)(Math.Max(buffer.Alignment, Page) / Page);
        for (int start = (first + step - 1) / step * step; start + size <= first + count; start += step)
            yield return start;
    }

    private static BufferRequest Slot(SlotBuffer of, int? slot) => slot is { } s
        ? new BufferRequest(of.Bar, [new BarRange(of.Offset + ((ulong)s * of.Stride), of.Size)]) { Of = of }
        : new BufferRequest(of.Bar, [], of.Size) { Of = of };

    /// <summary>One way to place a part of a request, in pages.</summary>
    internal readonly record struct Way(ImmutableArray<(int Bar, int Start, int Count)> Ranges);
}
