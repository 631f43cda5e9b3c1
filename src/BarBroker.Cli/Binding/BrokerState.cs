// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Commands;
using BarBroker.Client;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Cli.Binding;

/// <summary>What a running broker has open, so that its devices are told from those of others.</summary>
internal sealed record BrokerState(int Pid, IReadOnlyList<Device> Devices)
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <summary>Null where no broker answers: then the holder of a device is some process like any other.</summary>
    public static async Task<BrokerState?> FindAsync(string runtimeDirectory, CancellationToken cancellation)
    {
        try
        {
            using var connection = await OperatorConnection.OpenAsync(runtimeDirectory, cancellation);
            var status = await connection.Service.GetStatusAsync(new GetStatusRequest(), deadline: DateTime.UtcNow + _patience, cancellationToken: cancellation);
            return new BrokerState(status.Pid, [.. status.Devices]);
        }
        catch (Exception exception) when (exception is BrokerUnavailableException or RpcException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            // The channel tells a deadline by the last of these.
            return null;
        }
    }
}
