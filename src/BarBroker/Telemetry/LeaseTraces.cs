// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Diagnostics;
using BarBroker.Leases;

namespace BarBroker.Telemetry;

/// <summary>
/// Spans of leases: the acquire, each hand-over of the fds, the revoke. All of a lease are in one trace, that of the client if it has said which. Operators' calls have spans in traces of
/// their own, with links to and from those of the leases. There is one only where spans are sent somewhere; heartbeats have none.
/// </summary>
/// <param name="isLive">Whether a lease is known and has not ended.</param>
internal sealed class LeaseTraces(Func<string, bool> isLive) : ILeaseObserver, IDisposable
{
    public const string SourceName = "BarBroker";

    /// <summary>Of a gRPC call, as W3C has it.</summary>
    public const string Header = "traceparent";

    public const string Lease = "barbroker.lease";
    public const string Device = "barbroker.device";

    private const int HeaderLength = 55;

    private readonly ActivitySource _source = new(SourceName);

    /// <summary>Of leases that have not ended.</summary>
    private readonly ConcurrentDictionary<string, LeaseSpans> _leases = new(StringComparer.Ordinal);

    /// <param name="traceparent">Of the caller; what is empty or malformed is ignored.</param>
    public AcquireSpan BeginAcquire(string? traceparent)
    {
        var caller = ContextOf(traceparent);
        var activity = Start("lease acquire", ActivityKind.Server, caller);
        return new AcquireSpan(this, activity, activity?.Context ?? caller);
    }

    /// <summary>In the trace of the lease; where the caller is in another one, with a link there.</summary>
    /// <param name="traceparent">Of who fetches.</param>
    public IDisposable BeginHandOver(string leaseId, string? traceparent)
    {
        var caller = ContextOf(traceparent);
        var lease = _leases.TryGetValue(leaseId, out var spans) ? spans.Context : default;
        var parent = lease == default ? caller : lease;
        var activity = Start("lease hand-over", ActivityKind.Server, parent, caller != default && caller.TraceId != parent.TraceId ? [new ActivityLink(caller)] : null);
        activity?.SetTag(Lease, leaseId);
        return new HandOver(activity);
    }

    /// <summary>In the trace of the operator, if there is one.</summary>
    /// <param name="name">In the words of barctl.</param>
    /// <param name="traceparent">Of the operator.</param>
    public Activity? BeginOperator(string name, string? traceparent) => Start($"operator {name}", ActivityKind.Server, ContextOf(traceparent));

    /// <summary>The operator's call is about this lease. Nothing, where its trace is not known.</summary>
    public void LinkTo(string leaseId, Activity call)
    {
        if (_leases.TryGetValue(leaseId, out var spans) && spans.Context is var context && context != default)
        {
            call.AddLink(new ActivityLink(context));
        }
    }

    /// <summary>The lease's revoke is to have a link to this call.</summary>
    public void EndedBy(string leaseId, ActivityContext call) => Note(leaseId, spans => spans.Operator = call);

    /// <summary>What comes of the lease belongs there. Its grant may be told of later than this, or its end earlier.</summary>
    public void Remember(string leaseId, ActivityContext context) => Note(leaseId, spans => spans.Context = context);

    public void LeaseChanged(LeaseInfo lease)
    {
        switch (lease.State)
        {
            case LeaseState.Granted:
                _leases.TryAdd(lease.Id, new LeaseSpans());
                break;
            case LeaseState.Revoking:
                // One that is older than this process, and has no trace, was not told of before.
                var ending = _leases.GetOrAdd(lease.Id, static _ => new LeaseSpans());
                ending.Revoke ??= BeginRevoke(lease, ending.Context, ending.Operator);
                break;
            case LeaseState.Stuck when _leases.TryGetValue(lease.Id, out var spans):
                spans.Revoke?.SetStatus(ActivityStatusCode.Error, lease.RevokeError).AddEvent(new ActivityEvent("stuck"));
                break;
            case LeaseState.Ended when _leases.TryRemove(lease.Id, out var spans):
                Stop(spans.Revoke);
                break;
        }
    }

    /// <summary>One that is older than this process is told of by its record alone.</summary>
    public void LeaseRecorded(LeaseInfo lease)
    {
        if (ContextOf(lease.Marks.Trace) is var context && context != default)
        {
            _leases.GetOrAdd(lease.Id, static _ => new LeaseSpans()).Context = context;
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
    }

    public void Dispose() => _source.Dispose();

    /// <summary>On any thread, whatever span is the current one there.</summary>
    public static void Stop(Activity? activity)
    {
        if (activity is not null)
        {
            var current = Activity.Current;
            activity.Stop();
            Activity.Current = current;
        }
    }

    internal static ActivityContext ContextOf(string? traceparent) =>
        traceparent is { Length: HeaderLength } && ActivityContext.TryParse(traceparent, null, isRemote: true, out var context) ? context : default;

    internal static string TraceparentOf(ActivityContext context) =>
        context == default ? "" : $"00-{context.TraceId.ToHexString()}-{context.SpanId.ToHexString()}-{(int)(context.TraceFlags & ActivityTraceFlags.Recorded):x2}";

    /// <summary>Of a lease that may have ended, or whose grant was not told yet.</summary>
    private void Note(string leaseId, Action<LeaseSpans> note)
    {
        note(_leases.GetOrAdd(leaseId, static _ => new LeaseSpans()));
        if (!isLive(leaseId))
        {
            _leases.TryRemove(leaseId, out _);
        }
    }

    private Activity? BeginRevoke(LeaseInfo lease, ActivityContext context, ActivityContext call) =>
        Start("lease revoke", ActivityKind.Internal, context, call == default ? null : [new ActivityLink(call)])
        ?.SetTag(Lease, lease.Id).SetTag(Device, lease.Device).SetTag("barbroker.end_reason", lease.EndReason.ToString());

    /// <summary>Without becoming the current one: it is ended on another thread.</summary>
    private Activity? Start(string name, ActivityKind kind, ActivityContext parent, ActivityLink[]? links = null)
    {
        var current = Activity.Current;
        // Without a parent it begins a trace; the server's own span of the call, which nobody exports, is no parent.
        Activity.Current = null;
        var activity = _source.StartActivity(kind, parent, links: links, name: name);
        Activity.Current = current;
        return activity;
    }

    private sealed class HandOver(Activity? activity) : IDisposable
    {
        public void Dispose() => Stop(activity);
    }

    private sealed class LeaseSpans
    {
        private readonly Lock _gate = new();
        private ActivityContext _context;
        private ActivityContext _operator;

        /// <summary>Default: not known (yet).</summary>
        public ActivityContext Context
        {
            get => Read(ref _context);
            set => Write(ref _context, value);
        }

        /// <summary>The last operator's call about it; default: there was none.</summary>
        public ActivityContext Operator
        {
            get => Read(ref _operator);
            set => Write(ref _operator, value);
        }

        /// <summary>Changes are told one at a time.</summary>
        public Activity? Revoke { get; set; }

        private ActivityContext Read(ref readonly ActivityContext field)
        {
            lock (_gate)
            {
                return field;
            }
        }

        private void Write(ref ActivityContext field, ActivityContext value)
        {
            lock (_gate)
            {
                field = value;
            }
        }
    }
}
