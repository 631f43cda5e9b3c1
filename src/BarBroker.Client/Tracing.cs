// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;

namespace BarBroker.Client;

/// <summary>Spans of what a program asks of the broker. Nothing is made unless the program listens to them.</summary>
internal static class Tracing
{
    public const string SourceName = "BarBroker.Client";

    private static readonly ActivitySource _source = new(SourceName);

    public static Activity? BeginAcquire() => _source.StartActivity("lease acquire", ActivityKind.Client);

    /// <summary>What the broker is told of where it is asked from: the program's own span, where there is none of this library. Empty: nobody traces.</summary>
    public static string Traceparent() => Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } id } ? id : "";

    /// <returns>Where the lease belongs.</returns>
    public static ActivityContext Granted(Activity? span, string leaseId)
    {
        span?.SetTag("barbroker.lease", leaseId);
        return (span ?? Activity.Current)?.Context ?? default;
    }

    /// <summary>In the trace of the lease; if the program is in another one by now, with a link there.</summary>
    public static Activity? BeginRelease(string leaseId, ActivityContext lease)
    {
        if (!_source.HasListeners())
        {
            return null;
        }

        var current = Activity.Current?.Context ?? default;
        ActivityLink[]? links = lease != default && current != default && current.TraceId != lease.TraceId ? [new ActivityLink(current)] : null;
        return _source.StartActivity(ActivityKind.Client, lease, links: links, name: "lease release")?.SetTag("barbroker.lease", leaseId);
    }
}
