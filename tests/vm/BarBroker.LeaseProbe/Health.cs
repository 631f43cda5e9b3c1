// SPDX-License-Identifier: Apache-2.0

using BarBroker.Client;
using Grpc.Core;
using Grpc.Health.V1;

namespace BarBroker.LeaseProbe;

/// <summary>What the broker says of its health: by HTTP where metrics are by default, and by grpc.health.v1 on both of its sockets. A line for each.</summary>
internal static class Health
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    public static async Task<int> RunAsync()
    {
        string directory = BrokerPaths.RuntimeDirectory();
        string[] sockets = [BrokerPaths.ClientSocket(directory), BrokerPaths.OperatorSocket(directory)];
        bool[] good = await Task.WhenAll([PageAsync("healthz"), PageAsync("readyz"), .. sockets.Select(CheckAsync)]);
        return good.All(static one => one) ? 0 : 1;
    }

    private static async Task<bool> PageAsync(string page)
    {
        using var http = new HttpClient { Timeout = _patience };
        try
        {
            using var response = await http.GetAsync(new Uri($"http://127.0.0.1:9464/{page}"));
            Console.WriteLine($"{page}: {(int)response.StatusCode} {(await response.Content.ReadAsStringAsync()).Trim()}");
            return response.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            Console.WriteLine($"{page}: {exception.Message}");
            return false;
        }
    }

    private static async Task<bool> CheckAsync(string socket)
    {
        string name = Path.GetFileName(socket);
        using var channel = BrokerChannel.Open(socket);
        try
        {
            var answer = await new Grpc.Health.V1.Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), deadline: DateTime.UtcNow + _patience);
            Console.WriteLine($"{name}: {answer.Status}");
            return answer.Status is HealthCheckResponse.Types.ServingStatus.Serving;
        }
        catch (Exception exception) when (exception is RpcException or OperationCanceledException)
        {
            Console.WriteLine($"{name}: {exception.Message}");
            return false;
        }
    }
}
