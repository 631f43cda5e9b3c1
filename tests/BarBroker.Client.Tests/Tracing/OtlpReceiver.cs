// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Net;
using BarBroker.Testing;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace BarBroker.Client.Tests.Tracing;

/// <summary>A collector: takes what is exported by gRPC, and keeps the spans.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private const string Traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    private const int FrameHeader = 5;

    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(2);

    private readonly WebApplication _app;
    private readonly ConcurrentQueue<OtlpSpan> _spans = new();

    private OtlpReceiver()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0, static listen => listen.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public string Endpoint => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public static async Task<OtlpReceiver> StartAsync()
    {
        var receiver = new OtlpReceiver();
        await receiver._app.StartAsync();
        return receiver;
    }

    /// <summary>Waits until all of these of the lease are there; the broker sends every five seconds.</summary>
    public async Task<Dictionary<string, OtlpSpan>> OfLeaseAsync(string lease, params string[] names)
    {
        var found = new Dictionary<string, OtlpSpan>();
        await Wait.Until(
            () =>
            {
                found = _spans.Where(span => span.Tags.GetValueOrDefault("barbroker.lease") == lease).ToDictionary(static span => span.Name);
                return names.All(found.ContainsKey);
            },
            $"spans of {lease} come: {string.Join(", ", names)}",
            _patience);
        return found;
    }

    /// <summary>Waits for the first one like this.</summary>
    public async Task<OtlpSpan> FirstAsync(Func<OtlpSpan, bool> isIt, string what)
    {
        OtlpSpan? found = null;
        await Wait.Until(() => (found = _spans.FirstOrDefault(isIt)) is not null, $"this span comes: {what}", _patience);
        return found!;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        if (context.Request.Path == Traces)
        {
            foreach (var span in OtlpSpan.Decode(ByteString.CopyFrom(body.ToArray().AsSpan(FrameHeader))))
            {
                _spans.Enqueue(span);
            }
        }

        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(new byte[FrameHeader]);
        context.Response.AppendTrailer("grpc-status", "0");
    }
}
