// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Output;
using BarBroker.Client;

namespace BarBroker.Cli.Running;

internal static class Losses
{
    public static string Describe(Lease lease, LeaseLostEventArgs lost) =>
        $"lease {lease.Id} on {lease.Device} is lost: {Words.Of(lost.Reason)}{(lost.Detail.Length > 0 ? $" ({lost.Detail})" : "")}";
}
