// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Commands;
using BarBroker.Cli.Output;
using BarBroker.Client;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Cli.Completing;

/// <summary>Ids that only the broker knows: all of them for operators, else the user's own.</summary>
internal static class LiveIds
{
    /// <summary>Somebody waits for this with his finger on a key.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);

    /// <summary>Nothing where no broker answers in time: completion never complains.</summary>
    /// <param name="kind">LEASE or DEVICE.</param>
    public static async Task<IReadOnlyList<(string Word, string Meaning)>> FindAsync(string kind, string runtimeDirectory)
    {
        using var patience = new CancellationTokenSource(_patience);
        try
        {
            using var connection = await OperatorConnection.TryOpenAsync(runtimeDirectory, patience.Token);
            if (connection is not null)
            {
                return kind == "DEVICE"
                    ? Devices((await connection.Service.ListDevicesAsync(new OperatorListDevicesRequest(), cancellationToken: patience.Token)).Devices)
                    : Leases((await connection.Service.ListLeasesAsync(new OperatorListLeasesRequest(), cancellationToken: patience.Token)).Leases);
            }

            using var channel = BrokerChannel.Open(BrokerPaths.ClientSocket(runtimeDirectory));
            var service = new LeaseService.LeaseServiceClient(channel);
            return kind == "DEVICE"
                ? Devices((await service.ListDevicesAsync(new ListDevicesRequest(), cancellationToken: patience.Token)).Devices)
                : Leases((await service.ListLeasesAsync(new ListLeasesRequest(), cancellationToken: patience.Token)).Leases);
        }
        catch (Exception exception) when (exception is BrokerException or RpcException or OperationCanceledException or IOException)
        {
            return [];
        }
    }

    private static (string, string)[] Devices(IEnumerable<Device> devices) => [.. devices.Select(static device => (device.Name, $"{Words.Of(device.State)}, {device.Leases} leases"))];

    private static (string, string)[] Leases(IEnumerable<V1.Lease> leases) =>
        [.. leases.Select(static lease => (lease.Id, $"{Words.Of(lease.State)} on {lease.Device}, uid {lease.Owner?.Uid}, pid {lease.Owner?.Pid} {lease.Owner?.Comm}"))];
}
