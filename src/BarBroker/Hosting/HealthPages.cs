// SPDX-License-Identifier: Apache-2.0

using BarBroker.Rpc;

namespace BarBroker.Hosting;

/// <summary>Health for probes that speak HTTP, beside the metrics: 200, or 503 and what is wrong.</summary>
internal sealed class HealthPages(Vitals vitals, HealthReporter health)
{
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    public void Map(WebApplication app)
    {
        var served = new ServedOn(SocketKind.Metrics);

        // Live: to be restarted if not. Ready: leases can be granted and revoked now.
        app.MapMethods("/healthz", Methods, context => AnswerAsync(context, vitals.Signs.Complaint)).WithMetadata(served);
        app.MapMethods("/readyz", Methods, context => AnswerAsync(context, vitals.Signs is { AreGood: false } signs ? signs.Complaint : health.Obstacles())).WithMetadata(served);
    }

    private static Task AnswerAsync(HttpContext context, string fault)
    {
        var response = context.Response;
        response.StatusCode = fault.Length == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        response.ContentType = "text/plain; charset=utf-8";
        response.Headers.CacheControl = "no-store";
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : response.WriteAsync(fault.Length == 0 ? "ok\n" : $"{fault}\n");
    }
}
