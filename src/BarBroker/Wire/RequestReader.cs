// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Wire;

/// <summary>Requests as the lease manager takes them. Only what it could not express is refused here; the rest it checks itself.</summary>
internal static class RequestReader
{
    private const long MaxSeconds = 315_576_000_000;
    private const int NanosecondsPerTick = 100;

    public static AcquireRequest Read(V1.AcquireRequest request)
    {
        var buffers = ImmutableArray.CreateBuilder<BufferRequest>(request.Buffers.Count);
        foreach (var buffer in request.Buffers)
        {
            buffers.Add(Read(buffer));
        }

        return new AcquireRequest(
            request.Device,
            buffers.MoveToImmutable(),
            Read(request.Access),
            Read(request.MemoryAttribute),
            ReadDuration(request.Ttl, "ttl"),
            ReadDuration(request.HangLimit, "hang_limit"),
            ReadLabels(request.Labels),
            request.RequestId)
        {
            Wait = ReadDuration(request.Wait, "wait"),
            Priority = request.Priority,
            Pool = request.Pool,
            Slot = request.Slot is { } slot ? (int)Math.Min(slot, int.MaxValue) : null,
        };
    }

    /// <summary>Null: absent. Longer than .NET has numbers for is as long as it has.</summary>
    public static TimeSpan? ReadDuration(Duration? duration, string field)
    {
        if (duration is null)
        {
            return null;
        }

        bool isValid = duration.Seconds is >= -MaxSeconds and <= MaxSeconds
            && duration.Nanos is > -Duration.NanosecondsPerSecond and < Duration.NanosecondsPerSecond
            && Math.Sign(duration.Seconds) * Math.Sign(duration.Nanos) >= 0;
        return isValid
            ? new TimeSpan((duration.Seconds * TimeSpan.TicksPerSecond) + (duration.Nanos / NanosecondsPerTick))
            : throw new LeaseException(LeaseError.Invalid, $"{field} is no valid google.protobuf.Duration: {duration.Seconds} s and {duration.Nanos} ns") { Field = field };
    }

    /// <summary>A grace: absent is zero, and negative is refused.</summary>
    public static TimeSpan ReadGrace(Duration? duration)
    {
        var grace = ReadDuration(duration, "grace") ?? TimeSpan.Zero;
        return grace >= TimeSpan.Zero ? grace : throw new LeaseException(LeaseError.Invalid, "grace is negative") { Field = "grace" };
    }

    public static LeaseFilter Read(V1.LeaseSelector? selector, bool includeEnded) => selector is null
        ? LeaseFilter.All with { IncludeEnded = includeEnded }
        : new LeaseFilter(
            selector.Device,
            selector.HasUid ? selector.Uid : null,
            selector.HasPid ? selector.Pid : null,
            ReadLabels(selector.Labels),
            [.. selector.States.Select((state, index) => Read(state, index))],
            includeEnded);

    /// <summary>Whether it says nothing, and so means everything.</summary>
    public static bool IsEmpty(V1.LeaseSelector? selector) =>
        selector is null || (selector.Device.Length == 0 && !selector.HasUid && !selector.HasPid && selector.Labels.Count == 0 && selector.States.Count == 0);

    private static BufferRequest Read(V1.BufferRequest buffer)
    {
        var ranges = ImmutableArray.CreateBuilder<BarRange>(buffer.Ranges.Count);
        foreach (var range in buffer.Ranges)
        {
            ranges.Add(new BarRange(range.Offset, range.Length));
        }

        // A BAR that no int holds is as unknown as the largest one that an int does.
        return new BufferRequest((int)Math.Min(buffer.Bar, int.MaxValue), ranges.MoveToImmutable(), buffer.Size, buffer.Alignment, buffer.AllowSplit);
    }

    public static BufferAccess Read(V1.Access access) => access switch
    {
        V1.Access.Unspecified or V1.Access.ReadWrite => BufferAccess.ReadWrite,
        V1.Access.ReadOnly => BufferAccess.ReadOnly,
        _ => throw Unknown("access", (int)access),
    };

    public static MemoryAttribute Read(V1.MemoryAttribute attribute) => attribute switch
    {
        V1.MemoryAttribute.Unspecified or V1.MemoryAttribute.NonCached => MemoryAttribute.NonCached,
        V1.MemoryAttribute.WriteCombining => MemoryAttribute.WriteCombining,
        _ => throw Unknown("memory_attribute", (int)attribute),
    };

    private static LeaseState Read(V1.LeaseState state, int index) => state is > V1.LeaseState.Unspecified and <= V1.LeaseState.Stuck
        ? (LeaseState)state
        : throw Unknown($"selector.states[{index}]", (int)state);

    private static ImmutableDictionary<string, string> ReadLabels(MapField<string, string> labels) =>
        labels.Count == 0 ? ImmutableDictionary<string, string>.Empty : labels.ToImmutableDictionary(StringComparer.Ordinal);

    private static LeaseException Unknown(string field, int value) =>
        new(LeaseError.Invalid, $"{field} has the unknown value {value}") { Field = field };
}
