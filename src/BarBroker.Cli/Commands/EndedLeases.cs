// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Output;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Cli.Commands;

/// <summary>Leases that an operator ended, as each comes to its end.</summary>
internal static class EndedLeases
{
    /// <returns><see cref="ExitCode.Stuck"/> if one of them is.</returns>
    public static async Task<int> WriteAsync<T>(Printer printer, IAsyncStreamReader<T> stream, Func<T, Lease> leaseOf, CancellationToken cancellation)
    {
        int code = ExitCode.Done;
        await foreach (var response in stream.ReadAllAsync(cancellation))
        {
            var lease = leaseOf(response);
            printer.Ended(lease);
            code = lease.State == LeaseState.Stuck ? ExitCode.Stuck : code;
        }

        printer.Flush();
        return code;
    }
}
