// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Cli.Commands;
using BarBroker.Client;
using BarBroker.Configuration;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Cli.Diagnosis;

/// <summary>Looks at a host once, and runs every check on what was seen.</summary>
internal static class Doctor
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <param name="configuration">The configuration file.</param>
    public static async Task<Host> LookAsync(string runtimeDirectory, string configuration, string version, CancellationToken cancellation)
    {
        var host = new Host(SystemRoots.Real, runtimeDirectory, configuration) { Version = version, ScrapeError = url => ScrapeAsync(url, cancellation) };
        try
        {
            host = host with { Options = ConfigurationFile.Load(configuration, null) };
        }
        catch (ConfigurationException exception)
        {
            host = host with { Faults = exception.Faults };
        }

        try
        {
            using var connection = await OperatorConnection.OpenAsync(runtimeDirectory, cancellation);
            return host with { Broker = await connection.Service.GetStatusAsync(new GetStatusRequest(), deadline: DateTime.UtcNow + _patience, cancellationToken: cancellation) };
        }
        catch (BrokerUnavailableException exception)
        {
            return host with { BrokerError = exception.Message, IsBrokerHidden = exception.IsAccessDenied };
        }
        catch (RpcException exception)
        {
            return host with { BrokerError = exception.Status.Detail, IsBrokerHidden = exception.StatusCode == StatusCode.PermissionDenied };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return host with { BrokerError = $"it accepts connections, and has not answered for {_patience.TotalSeconds} s" };
        }
    }

    public static async Task<Finding[]> ExamineAsync(Host host) => [.. KernelFindings(host), .. await BrokerChecks.RunAsync(host), .. DeviceChecks.Run(host)];

    /// <summary>Where only simulated devices are to be served, what the kernel lacks is no failure.</summary>
    private static IEnumerable<Finding> KernelFindings(Host host) => host is { Options: { Devices: not [] }, VfioDevices: [] }
        ? KernelChecks.Run(host).Select(static finding => finding.Result == "fail" ? finding with { Result = "warn" } : finding)
        : KernelChecks.Run(host);

    private static async Task<string?> ScrapeAsync(string url, CancellationToken cancellation)
    {
        using var http = new HttpClient { Timeout = _patience };
        try
        {
            using var response = await http.GetAsync(new Uri(url), cancellation);
            return response.IsSuccessStatusCode ? null : $"HTTP status {(int)response.StatusCode}";
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            return exception.Message;
        }
    }
}
