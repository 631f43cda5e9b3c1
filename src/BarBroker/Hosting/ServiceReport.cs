// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Hosting;

/// <summary>Tells the service manager how the broker is doing (sd_notify(3)); nobody where none listens. A manager that does not take it changes nothing here: it is logged, once until it takes something again.</summary>
internal sealed class ServiceReport(ServiceNotifier? manager, ILogger log)
{
    private string _status = "";
    private int _isDeaf;

    public void Ready() => Tell("READY=1");

    /// <summary>To be followed by <see cref="Ready"/>.</summary>
    /// <remarks>Type=notify-reload wants the time in microseconds of CLOCK_MONOTONIC.</remarks>
    public void Reloading() => Tell(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}"));

    public void Stopping() => Tell("STOPPING=1\nSTATUS=Ending leases");

    /// <summary>Told if it has changed.</summary>
    /// <param name="status">One line for whoever asks <c>systemctl status</c>.</param>
    public void Status(string status)
    {
        if (Interlocked.Exchange(ref _status, status) != status)
        {
            Tell($"STATUS={status}");
        }
    }

    /// <summary>The manager kills the broker if this does not come in time.</summary>
    public void Alive() => Tell("WATCHDOG=1");

    private void Tell(string state)
    {
        try
        {
            manager?.Send(state);
            _isDeaf = 0;
        }
        catch (IOException exception)
        {
            if (Interlocked.Exchange(ref _isDeaf, 1) == 0)
            {
                HostLog.NotToldServiceManager(log, exception.Message);
            }
        }
    }
}
