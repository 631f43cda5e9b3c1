// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.FdChannel;

internal static partial class FdChannelLog
{
    [LoggerMessage(3001, LogLevel.Debug, "fd channel: process {Pid} of uid {Uid} connected")]
    public static partial void Connected(this ILogger logger, int pid, uint uid);

    [LoggerMessage(3002, LogLevel.Debug, "fd channel: connection of process {Pid} of uid {Uid} is over: {Cause}")]
    public static partial void Disconnected(this ILogger logger, int pid, uint uid, string cause);

    [LoggerMessage(3003, LogLevel.Information, "fd channel: refused a packet of process {Pid} of uid {Uid}: {Cause}")]
    public static partial void Malformed(this ILogger logger, int pid, uint uid, string cause);

    [LoggerMessage(3004, LogLevel.Information, "fd channel: refused process {Pid} of uid {Uid}, which has {Limit} connections already")]
    public static partial void TooManyConnections(this ILogger logger, int pid, uint uid, int limit);

    [LoggerMessage(3005, LogLevel.Debug, "fd channel: lease {Lease} delivered to process {Pid} of uid {Uid} with {Count} fds")]
    public static partial void Delivered(this ILogger logger, string lease, int pid, uint uid, int count);

    [LoggerMessage(3006, LogLevel.Information, "fd channel: ticket of process {Pid} of uid {Uid} refused: {Cause}")]
    public static partial void TicketRefused(this ILogger logger, int pid, uint uid, string cause);

    [LoggerMessage(3007, LogLevel.Warning, "fd channel: lease {Lease} could not be delivered to process {Pid} of uid {Uid} and ends: {Cause}")]
    public static partial void DeliveryFailed(this ILogger logger, string lease, int pid, uint uid, string cause);

    [LoggerMessage(3008, LogLevel.Information, "fd channel: process {Pid} of uid {Uid} does not read and is disconnected; its leases live on")]
    public static partial void DoesNotRead(this ILogger logger, int pid, uint uid);

    [LoggerMessage(3009, LogLevel.Error, "fd channel: accepting failed, tried again in {Pause}")]
    public static partial void AcceptFailed(this ILogger logger, TimeSpan pause, Exception exception);

    [LoggerMessage(3010, LogLevel.Error, "fd channel: connection of process {Pid} of uid {Uid} failed")]
    public static partial void Failed(this ILogger logger, int pid, uint uid, Exception exception);

    [LoggerMessage(3011, LogLevel.Debug, "fd channel: acquire of process {Pid} of uid {Uid} refused: {Cause}")]
    public static partial void AcquireRefused(this ILogger logger, int pid, uint uid, string cause);

    [LoggerMessage(3012, LogLevel.Information, "fd channel: a connection was closed: its process is gone already or cannot be watched")]
    public static partial void GoneAtAccept(this ILogger logger, Exception reason);

    [LoggerMessage(3013, LogLevel.Debug, "fd channel: process {Pid} of uid {Uid} follows {Followed} leases that it has from before; {Unknown} ids are none of its leases")]
    public static partial void Follows(this ILogger logger, int pid, uint uid, int followed, int unknown);
}
