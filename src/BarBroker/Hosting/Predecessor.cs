// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Hosting;

/// <summary>A broker that was killed and whose files are open still: its socket files would seem to be answered on, and its metrics listener holds the port.</summary>
internal static class Predecessor
{
    /// <summary>Removes what would be in the way of this run, if there is one. Returns the options, without what it still holds.</summary>
    /// <param name="passed">Sockets that are the service manager's, not the predecessor's alone.</param>
    public static BrokerOptions MakeWay(BrokerOptions options, RuntimeDirectory directory, ActivatedDescriptors passed, ILogger log)
    {
        if (directory.Predecessor is not { } predecessor)
        {
            return options;
        }

        HostLog.TookOver(log, predecessor);
        var names = passed.Unclaimed;
        foreach (string socket in new[] { options.ClientSocket, options.OperatorSocket, options.FdSocket })
        {
            if (!names.Contains(Path.GetFileName(socket)))
            {
                File.Delete(socket);
            }
        }

        if (options.Metrics is not { } metrics || BrokerWeb.IsFree(metrics))
        {
            return options;
        }

        HostLog.MetricsHeld(log, metrics, predecessor);
        return options with { Metrics = null };
    }
}
