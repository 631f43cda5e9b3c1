// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Numerics;
using BarBroker.Devices;

namespace BarBroker.Leases;

/// <summary>What can be said of an acquire without looking at who holds what.</summary>
internal static class AcquireValidator
{
    public const int MaxBuffers = 8;
    public const int MaxLabels = 16;
    public const int MaxLabelKey = 63;
    public const int MaxLabelValue = 255;
    public const int MaxRequestId = 64;

    /// <summary>Throws for what is wrong whatever the device.</summary>
    public static void Check(AcquireRequest request)
    {
        if (request.Device is null)
            throw Invalid("device", "device is null; leave it empty for any device");
        if (request.Buffers.IsDefaultOrEmpty || request.Buffers.Length > MaxBuffers)
            throw Invalid("buffers", $"a lease has 1 to {MaxBuffers} buffers, not {(request.Buffers.IsDefault ? 0 : request.Buffers.Length)}");
        if (!Enum.IsDefined(request.Access))
            throw Invalid("access", $"{(int)request.Access} is no access; it is read-write or read-only");
        if (!Enum.IsDefined(request.Attribute))
            throw Invalid("memory_attribute", $"{(int)request.Attribute} is no memory attribute; it is non-cached or write-combining");
        if (request.Ttl is { } ttl && ttl <= TimeSpan.Zero)
            throw Invalid("ttl", $"a TTL is longer than zero, not {ttl.TotalSeconds} s; leave it out for the default");
        if (request.HangLimit is { } hang && hang <= TimeSpan.Zero)
            throw Invalid("hang_limit", $"a hang limit is longer than zero, not {hang.TotalSeconds} s; leave it out for none");
        if (request.Wait < TimeSpan.Zero)
            throw Invalid("wait", $"a wait is not shorter than zero, as {request.Wait.Value.TotalSeconds} s is; leave it out for none");
        if (request.RequestId is null || request.RequestId.Length > MaxRequestId)
            throw Invalid("request_id", $"a request id has up to {MaxRequestId} characters, not {request.RequestId?.Length ?? 0}");
        CheckLabels(request.Labels);
        for (int i = 0; i < request.Buffers.Length; i++)
            CheckBuffer(request.Buffers[i], $"buffers[{i}]");
        CheckOverlaps(request.Buffers);
    }

    /// <summary>What is wrong with the request on this device; null if nothing is.</summary>
    public static LeaseException? CheckAgainst(AcquireRequest request, string device, DeviceDescription description)
    {
        if (!description.Accesses.Contains(request.Access))
            return new(LeaseError.Unsupported, $"{device} cannot enforce {Words(request.Access)} access; ask for {string.Join(" or ", description.Accesses.Select(Words))}") { Field = "access", Device = device };
        if (!description.MemoryAttributes.Contains(request.Attribute))
            return new(LeaseError.Unsupported, $"{device} has no {Words(request.Attribute)} memory; ask for {string.Join(" or ", description.MemoryAttributes.Select(Words))}") { Field = "memory_attribute", Device = device };
        for (int i = 0; i < request.Buffers.Length; i++)
        {
            if (CheckBufferAgainst(request.Buffers[i], $"buffers[{i}]", device, description) is { } refusal)
                return refusal;
        }

        return null;
    }

    private static void CheckLabels(ImmutableDictionary<string, string> labels)
    {
        if (labels is null)
            throw Invalid("labels", "labels are null; leave them empty for none");
        if (labels.Count > MaxLabels)
            throw Invalid("labels", $"a lease has up to {MaxLabels} labels, not {labels.Count}");
        foreach ((string key, string value) in labels)
        {
            if (key.Length is 0 or > MaxLabelKey || !key.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '_' or '-' or '/'))
                throw Invalid("labels", $"a label's key has 1 to {MaxLabelKey} characters of a-z 0-9 . _ - /; \"{Shorten(key)}\" has not");
            if (value.Length > MaxLabelValue)
                throw Invalid($"labels[\"{key}\"]", $"a label's value has up to {MaxLabelValue} characters, that of \"{key}\" has {value.Length}");
        }
    }

    private static void CheckBuffer(BufferRequest buffer, string field)
    {
        if (buffer.Bar is < 0 or > 5)
            throw Invalid($"{field}.bar", $"a BAR's index is 0 to 5, not {buffer.Bar}");
        int count = buffer.Ranges.IsDefault ? 0 : buffer.Ranges.Length;
        if (count > 0 && buffer.Size > 0)
            throw Invalid($"{field}.size", "give either ranges or a size, not both");
        if (count == 0 && buffer.Size == 0)
            throw Invalid($"{field}.ranges", $"give 1 to {RangeAllocator<Lease>.MaxRanges} ranges, or a size");
        if (count > RangeAllocator<Lease>.MaxRanges)
            throw Invalid($"{field}.ranges", $"a buffer has up to {RangeAllocator<Lease>.MaxRanges} ranges, not {count}");
        if (count > 0 && (buffer.Alignment != 0 || buffer.AllowSplit))
            throw Invalid(buffer.Alignment != 0 ? $"{field}.alignment" : $"{field}.allow_split", "this goes with a size, not with ranges");
        if (buffer.Alignment != 0 && !BitOperations.IsPow2(buffer.Alignment))
            throw Invalid($"{field}.alignment", $"an alignment is a power of two, not 0x{buffer.Alignment:x}");
        for (int i = 0; i < count; i++)
            CheckRange(buffer.Ranges[i], $"{field}.ranges[{i}]");
    }

    private static void CheckRange(BarRange range, string field)
    {
        if (range.Length == 0)
            throw Invalid($"{field}.length", $"range {range} is empty");
        if (range.Offset > ulong.MaxValue - range.Length)
            throw Invalid($"{field}.length", $"range {range} ends past what 64 bits hold");
    }

    private static void CheckOverlaps(ImmutableArray<BufferRequest> buffers)
    {
        var all = new List<(int Bar, BarRange Range, int Buffer, int Index)>();
        for (int b = 0; b < buffers.Length; b++)
        {
            for (int r = 0; r < (buffers[b].Ranges.IsDefault ? 0 : buffers[b].Ranges.Length); r++)
                all.Add((buffers[b].Bar, buffers[b].Ranges[r], b, r));
        }

        if (all.Count < 2)
            return;
        all.Sort(static (x, y) => (x.Bar, x.Range.Offset).CompareTo((y.Bar, y.Range.Offset)));
        for (int i = 1; i < all.Count; i++)
        {
            if (all[i].Bar == all[i - 1].Bar && all[i].Range.Offset < all[i - 1].Range.End)
                throw Invalid($"buffers[{all[i].Buffer}].ranges[{all[i].Index}]", $"ranges {all[i - 1].Range} and {all[i].Range} of BAR {all[i].Bar} overlap; a lease covers a byte once");
        }
    }

    private static LeaseException? CheckBufferAgainst(BufferRequest buffer, string field, string device, DeviceDescription description)
    {
        BarDescription? bar = description.Bars.FirstOrDefault(b => b.Index == buffer.Bar);
        if (bar is null)
            return Invalid($"{field}.bar", $"{device} has no BAR {buffer.Bar} that can be leased; it has {string.Join(", ", description.Bars.Select(b => b.Index))}", device);
        ulong page = description.PageSize;
        if (buffer.Size % page != 0)
            return Invalid($"{field}.size", $"a size on {device} is a multiple of {page} bytes, not 0x{buffer.Size:x}", device);
        if (buffer.Size > bar.Size)
            return Invalid($"{field}.size", $"BAR {bar.Index} of {device} has {ByteText.Of(bar.Size)}; 0x{buffer.Size:x} bytes are more than that", device);
        if (buffer.Alignment != 0 && buffer.Alignment < page)
            return Invalid($"{field}.alignment", $"an alignment on {device} is at least {page} bytes, not 0x{buffer.Alignment:x}", device);
        for (int i = 0; i < (buffer.Ranges.IsDefault ? 0 : buffer.Ranges.Length); i++)
        {
            BarRange range = buffer.Ranges[i];
            if (range.Offset % page != 0)
                return Invalid($"{field}.ranges[{i}].offset", $"offsets on {device} are multiples of {page} bytes; range {range} does not start at one", device);
            if (range.Length % page != 0)
                return Invalid($"{field}.ranges[{i}].length", $"lengths on {device} are multiples of {page} bytes; that of range {range} is not", device);
            if (range.End > bar.Size)
                return Invalid(range.Offset >= bar.Size ? $"{field}.ranges[{i}].offset" : $"{field}.ranges[{i}].length", $"BAR {bar.Index} of {device} has {ByteText.Of(bar.Size)}; range {range} ends past it", device);
        }

        return null;
    }

    private static string Words(BufferAccess access) => access == BufferAccess.ReadOnly ? "read-only" : "read-write";

    private static string Words(MemoryAttribute attribute) => attribute == MemoryAttribute.WriteCombining ? "write-combining" : "non-cached";

    private static string Shorten(string text) => text.Length <= MaxLabelKey ? text : string.Concat(text.AsSpan(0, MaxLabelKey), "...");

    private static LeaseException Invalid(string field, string message, string device = "") => new(LeaseError.Invalid, message) { Field = field, Device = device };
}
