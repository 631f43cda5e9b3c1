// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Client;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

// The program's own spans, and those of the library. OTEL_EXPORTER_OTLP_ENDPOINT says where the collector is; what is not sent yet goes there at the end.
using var source = new ActivitySource("traced-lease");
using var traces = Sdk.CreateTracerProviderBuilder()
    .ConfigureResource(resource => resource.AddService("traced-lease"))
    .AddSource(source.Name, BrokerClient.ActivitySourceName)
    .AddOtlpExporter()
    .Build();

await using var broker = await BrokerClient.ConnectAsync();
using var job = source.StartActivity("job");
await using var lease = await broker.AcquireAsync(LeaseRequest.OfSize("sim0", 64 * 1024));
Console.WriteLine($"{lease.Id} is in trace {job?.TraceId}");
using var memory = lease.Buffers[0].Map();
var enter = Task.Run(Console.In.ReadLineAsync); // Until Enter, or the lease is lost.
try
{
    for (byte count = 0; !enter.IsCompleted && !lease.LostToken.IsCancellationRequested; count++)
    {
        memory.CopyFrom(0, [count]);
        lease.Pulse();
        await Task.WhenAny(enter, Task.Delay(TimeSpan.FromMilliseconds(200)));
    }
}
catch (LeaseLostException lost)
{
    job?.SetStatus(ActivityStatusCode.Error, lost.Message);
}
