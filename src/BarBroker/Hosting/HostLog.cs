// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

internal static partial class HostLog
{
    [LoggerMessage(EventId = 400, Level = LogLevel.Information, Message = "Ready: sockets in {Directory}, state in {State}, metrics at {Metrics}, {Devices} devices")]
    public static partial void Ready(ILogger log, string directory, string state, string metrics, int devices);

    [LoggerMessage(EventId = 401, Level = LogLevel.Warning, Message = "Device {Device} is simulated: its BARs are memory, no hardware is behind them")]
    public static partial void Simulated(ILogger log, string device);

    [LoggerMessage(EventId = 402, Level = LogLevel.Warning, Message = "No devices are configured; nothing can be leased")]
    public static partial void NoDevices(ILogger log);

    [LoggerMessage(EventId = 403, Level = LogLevel.Information, Message = "Stopping: {Reason}")]
    public static partial void Stopping(ILogger log, string reason);

    [LoggerMessage(EventId = 404, Level = LogLevel.Error, Message = "Some leases were not proven ended within {Timeout}; the end of this process closes their devices")]
    public static partial void ShutdownIncomplete(ILogger log, TimeSpan timeout);

    [LoggerMessage(EventId = 405, Level = LogLevel.Error, Message = "SIGHUP: the configuration could not be read again; nothing has changed")]
    public static partial void ReloadFailed(ILogger log, Exception exception);

    [LoggerMessage(EventId = 406, Level = LogLevel.Information, Message = "Stopped")]
    public static partial void Stopped(ILogger log);

    [LoggerMessage(EventId = 407, Level = LogLevel.Warning, Message = "Some devices took longer than {Timeout} to open; they are served when they have")]
    public static partial void SlowOpen(ILogger log, TimeSpan timeout);

    [LoggerMessage(EventId = 411, Level = LogLevel.Warning, Message = "Nodes that appear in /dev/vfio are not noticed; devices that are unavailable are tried again now and then only")]
    public static partial void NodesNotWatched(ILogger log, Exception exception);

    [LoggerMessage(EventId = 408, Level = LogLevel.Warning, Message = "The service manager could not be told how the broker is doing: NOTIFY_SOCKET does not take it ({Problem})")]
    public static partial void NotToldServiceManager(ILogger log, string problem);

    [LoggerMessage(EventId = 413, Level = LogLevel.Error, Message = "The broker does not do its work: {Complaint}")]
    public static partial void NotAlive(ILogger log, string complaint);

    [LoggerMessage(EventId = 414, Level = LogLevel.Warning, Message = "The broker does its work again")]
    public static partial void AliveAgain(ILogger log);

    [LoggerMessage(EventId = 415, Level = LogLevel.Warning, Message = "The thread of device {Device} has been in one call for {Interval} or longer; until it comes back, nothing is granted there")]
    public static partial void DeviceKept(ILogger log, string device, TimeSpan interval);

    [LoggerMessage(EventId = 416, Level = LogLevel.Information, Message = "The thread of device {Device} has come back from its call")]
    public static partial void DeviceBack(ILogger log, string device);

    [LoggerMessage(EventId = 412, Level = LogLevel.Warning, Message = "The service manager passed descriptors that are of no use, and they were closed: {Names}")]
    public static partial void Unclaimed(ILogger log, string names);

    [LoggerMessage(EventId = 409, Level = LogLevel.Warning, Message = "The broker before this one, process {Predecessor}, was killed while the kernel kept a thread of it; until the kernel lets go of that, its devices are busy, its leases on them go on, and its clients hear nothing")]
    public static partial void TookOver(ILogger log, int predecessor);

    [LoggerMessage(EventId = 410, Level = LogLevel.Error, Message = "Metrics are not served until the next start: {Endpoint} is held by process {Predecessor}, too")]
    public static partial void MetricsHeld(ILogger log, System.Net.IPEndPoint endpoint, int predecessor);
}
