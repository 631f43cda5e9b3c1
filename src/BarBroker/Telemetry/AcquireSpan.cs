// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;

namespace BarBroker.Telemetry;

/// <summary>An acquire that is traced, until it is answered. Ending it twice does nothing.</summary>
/// <param name="activity">Null: the client's trace is not sampled.</param>
/// <param name="context">Where its lease belongs.</param>
internal sealed class AcquireSpan(LeaseTraces traces, Activity? activity, ActivityContext context) : IDisposable
{
    /// <summary>For the record of its lease; empty: it belongs nowhere.</summary>
    public string Traceparent { get; } = LeaseTraces.TraceparentOf(context);

    public void Granted(string leaseId, string device)
    {
        traces.Remember(leaseId, context);
        activity?.SetTag(LeaseTraces.Lease, leaseId).SetTag(LeaseTraces.Device, device);
        Dispose();
    }

    public void Failed(string why)
    {
        if (activity is { IsStopped: false })
        {
            activity.SetStatus(ActivityStatusCode.Error, why);
        }

        Dispose();
    }

    public void Dispose() => LeaseTraces.Stop(activity);
}
