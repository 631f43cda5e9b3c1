// SPDX-License-Identifier: Apache-2.0

using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using BarBroker.Client;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using OpenTelemetry;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace BarBroker.Cli.Tracing;

/// <summary>The span of a command, which the broker's spans of its calls are under. There is one only where the environment says where a collector is; what is not sent yet goes there at the end.</summary>
internal sealed class CommandTrace : IDisposable
{
    private const string Name = "barctl";

    /// <summary>As OpenTelemetry has them; the first that is set counts.</summary>
    private static readonly string[] _collectors = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

    private readonly ActivitySource _source = new(Name);
    private readonly TracerProvider _sender;
    private readonly Activity? _span;

    private CommandTrace(string command, string? parent)
    {
        _sender = Sdk.CreateTracerProviderBuilder()
            .ConfigureResource(static resource => resource.AddService(Name))
            .AddSource(Name, BrokerClient.ActivitySourceName)
            .AddOtlpExporter()
            .Build();
        _ = ActivityContext.TryParse(parent, null, isRemote: true, out var context);
        _span = _source.StartActivity(command, ActivityKind.Client, context);
    }

    /// <summary>Null: nobody wants it, or it cannot be, which is said: no command fails for its trace. Under the span that TRACEPARENT names, if it names one.</summary>
    public static CommandTrace? Begin(CommandResult command)
    {
        if (Array.Find(_collectors, static variable => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable))) is not { } variable)
        {
            return null;
        }

        string collector = Environment.GetEnvironmentVariable(variable)!;
        if (!Uri.TryCreate(collector, UriKind.Absolute, out var address) || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
        {
            Failure.Say($"no span is sent: {variable} is \"{collector}\"; a collector's address begins with http:// or https://");
            return null;
        }

        try
        {
            return new CommandTrace(FullName(command), Environment.GetEnvironmentVariable("TRACEPARENT"));
        }
        catch (Exception exception)
        {
            Failure.Say($"no span is sent: OpenTelemetry cannot use what the OTEL_* variables say: {exception.Message} Correct them, or unset {variable}");
            return null;
        }
    }

    /// <summary>Tells the other end where it is called from.</summary>
    public static CallInvoker Through(GrpcChannel channel) => channel.Intercept(static metadata =>
    {
        if (Client.Tracing.Traceparent() is { Length: > 0 } here)
        {
            metadata.Add("traceparent", here);
        }

        return metadata;
    });

    public void Ended(int exitCode)
    {
        if (exitCode != ExitCode.Done)
        {
            _span?.SetStatus(ActivityStatusCode.Error, string.Create(CultureInfo.InvariantCulture, $"exit status {exitCode}"));
        }
    }

    public void Dispose()
    {
        _span?.Stop();
        _sender.Dispose();
        _source.Dispose();
    }

    private static string FullName(CommandResult command)
    {
        var words = new Stack<string>();
        for (SymbolResult? result = command; result is CommandResult { Parent: not null } here; result = here.Parent)
        {
            words.Push(here.Command.Name);
        }

        return string.Join(' ', words.Prepend(Name));
    }
}
