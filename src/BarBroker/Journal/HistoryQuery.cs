// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Leases;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Journal;

/// <summary>Which entries are asked for, as a condition of SQL with its values.</summary>
internal sealed class HistoryQuery
{
    private readonly List<object> _values = [];
    private readonly List<string> _conditions = [];

    private HistoryQuery(uint limit, bool newestFirst)
    {
        Limit = limit;
        NewestFirst = newestFirst;
    }

    /// <summary>0: none.</summary>
    public uint Limit { get; }

    public bool NewestFirst { get; }

    public string Condition => _conditions.Count == 0 ? "1" : string.Join(" AND ", _conditions);

    public IReadOnlyList<object> Values => _values;

    /// <exception cref="LeaseException">Invalid: the request says something that cannot be.</exception>
    public static HistoryQuery Read(V1.HistoryRequest request)
    {
        if (request.Labels.Count > AcquireValidator.MaxLabels)
        {
            throw new LeaseException(LeaseError.Invalid, $"a lease has up to {AcquireValidator.MaxLabels} labels, so none has these {request.Labels.Count}") { Field = "labels" };
        }

        var query = new HistoryQuery(request.Limit, request.NewestFirst);
        query.Add(request.LeaseId.Length > 0, "lease = {0}", request.LeaseId);
        query.Add(request.Device.Length > 0, "device = {0}", request.Device);
        query.Add(request.HasUid, "(uid = {0} OR actor_uid = {0})", (long)request.Uid);
        query.Add(request.HasPid, "(pid = {0} OR actor_pid = {0})", (long)request.Pid);
        query.Add(request.Since is not null, "wall >= {0}", Milliseconds(request.Since, "since"));
        query.Add(request.Until is not null, "wall < {0}", Milliseconds(request.Until, "until"));
        foreach (var (key, value) in request.Labels)
        {
            query.Add(true, "EXISTS (SELECT 1 FROM leases, json_each(leases.labels) AS label WHERE leases.epoch = events.epoch AND label.key = {0} AND label.value = {1})", key, value);
        }

        if (request.Kinds.Count > 0)
        {
            // Numbers, and checked: nothing of the caller's text gets into the statement.
            query._conditions.Add($"kind IN ({string.Join(',', request.Kinds.Select(Number).ToImmutableSortedSet())})");
        }

        return query;
    }

    private static int Number(V1.HistoryKind kind, int index) => kind is > V1.HistoryKind.Unspecified and <= V1.HistoryKind.Reloaded
        ? (int)kind
        : throw new LeaseException(LeaseError.Invalid, $"kinds[{index}] has the unknown value {(int)kind}") { Field = $"kinds[{index}]" };

    private static long Milliseconds(Timestamp? time, string field)
    {
        try
        {
            return time?.ToDateTimeOffset().ToUnixTimeMilliseconds() ?? 0;
        }
        catch (InvalidOperationException)
        {
            throw new LeaseException(LeaseError.Invalid, $"{field} is no valid google.protobuf.Timestamp") { Field = field };
        }
    }

    private void Add(bool isWanted, string condition, params object[] values)
    {
        if (!isWanted)
        {
            return;
        }

        int first = _values.Count + 1;
        _values.AddRange(values);
        _conditions.Add(string.Format(CultureInfo.InvariantCulture, condition, [.. values.Select((_, index) => (object)$"${first + index}")]));
    }
}
