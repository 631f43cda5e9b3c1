// SPDX-License-Identifier: Apache-2.0

using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Monitoring;

/// <summary>A real Prometheus that scrapes one target several times a second, with the shipped rules made impatient.</summary>
internal sealed class Prometheus : IDisposable
{
    private readonly Tool _program;
    private readonly HttpClient _http;

    private Prometheus(Tool program, string address)
    {
        _program = program;
        _http = new HttpClient { BaseAddress = new Uri($"http://{address}") };
    }

    /// <param name="target">Host and port.</param>
    public static async Task<Prometheus> StartAsync(string directory, string target)
    {
        string rules = await File.ReadAllTextAsync(Deployed.Rules);
        await File.WriteAllTextAsync(Path.Combine(directory, "rules.yml"), System.Text.RegularExpressions.Regex.Replace(rules, @"( for:) \w+", "$1 1s"));
        string configuration = Path.Combine(directory, "prometheus.yml");
        await File.WriteAllTextAsync(configuration, $$"""
            global: { scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }
            rule_files: [ rules.yml ]
            scrape_configs: [ { job_name: barbroker, static_configs: [ { targets: [ "{{target}}" ] } ] } ]
            """);
        string address = FreeAddress();
        var program = Tool.Start([Deployed.Program("prometheus"), $"--config.file={configuration}", $"--storage.tsdb.path={Path.Combine(directory, "tsdb")}", $"--web.listen-address={address}"]);
        return new Prometheus(program, address);
    }

    /// <summary>Waits until all of these fire and none of those.</summary>
    public Task WaitAsync(string[] firing, string[] silent, string what) => Wait.Until(
        async () =>
        {
            var alerts = await FiringAsync();
            return alerts is not null && firing.All(alerts.Contains) && !silent.Any(alerts.Contains);
        },
        $"{what}: firing {string.Join(", ", firing)}, silent {string.Join(", ", silent)}; Prometheus has said:\n{_program.Output}",
        Patience.Long);

    public void Dispose()
    {
        _http.Dispose();
        _program.Dispose();
    }

    /// <summary>Null while it does not answer, or has not scraped yet.</summary>
    private async Task<HashSet<string>?> FiringAsync()
    {
        try
        {
            using var up = JsonDocument.Parse(await _http.GetStringAsync("/api/v1/query?query=up"));
            if (up.RootElement.GetProperty("data").GetProperty("result").GetArrayLength() == 0)
            {
                return null;
            }

            using var alerts = JsonDocument.Parse(await _http.GetStringAsync("/api/v1/alerts"));
            return [.. alerts.RootElement.GetProperty("data").GetProperty("alerts").EnumerateArray()
                .Where(static alert => alert.GetProperty("state").GetString() == "firing")
                .Select(static alert => alert.GetProperty("labels").GetProperty("alertname").GetString()!)];
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    private static string FreeAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket.LocalEndPoint!.ToString()!;
    }
}
