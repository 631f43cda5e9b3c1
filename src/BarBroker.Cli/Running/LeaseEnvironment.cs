// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Client;

namespace BarBroker.Cli.Running;

/// <summary>How a lease is described to the command: see docs/barctl.md.</summary>
internal static class LeaseEnvironment
{
    public static Dictionary<string, string> Of(Lease lease)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["BARBROKER_LEASE"] = lease.Id,
            ["BARBROKER_DEVICE"] = lease.Device,
            ["BARBROKER_EPOCH"] = lease.Epoch.ToString(CultureInfo.InvariantCulture),
            ["BARBROKER_BUFFERS"] = lease.Buffers.Length.ToString(CultureInfo.InvariantCulture),
        };
        if (lease.Pool.Length > 0)
        {
            variables["BARBROKER_POOL"] = lease.Pool;
        }

        if (lease.Slot is { } slot)
        {
            variables["BARBROKER_SLOT"] = slot.ToString(CultureInfo.InvariantCulture);
        }

        for (int i = 0; i < lease.Buffers.Length; i++)
        {
            var buffer = lease.Buffers[i];
            variables[$"BARBROKER_FD_{i}"] = buffer.File.Number.ToString(CultureInfo.InvariantCulture);
            variables[$"BARBROKER_SIZE_{i}"] = buffer.Size.ToString(CultureInfo.InvariantCulture);
            variables[$"BARBROKER_BAR_{i}"] = buffer.Bar.ToString(CultureInfo.InvariantCulture);
            variables[$"BARBROKER_RANGES_{i}"] = string.Join(',', buffer.Ranges);
        }

        return variables;
    }
}
