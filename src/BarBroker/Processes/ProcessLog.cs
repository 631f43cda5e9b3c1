// SPDX-License-Identifier: Apache-2.0

using BarBroker.Rpc;

namespace BarBroker.Processes;

internal static partial class ProcessLog
{
    [LoggerMessage(EventId = 200, Level = LogLevel.Error, Message = "The end of watched process {Key} could not be acted on")]
    public static partial void ExitFailed(ILogger log, ulong key, Exception exception);

    [LoggerMessage(EventId = 201, Level = LogLevel.Information, Message = "Process {Pid} (uid {Uid}, {Comm}) ended")]
    public static partial void Exited(ILogger log, int pid, uint uid, string comm);

    [LoggerMessage(EventId = 202, Level = LogLevel.Information, Message = "A connection to the {Socket} socket was closed: its process is gone already or cannot be watched")]
    public static partial void GoneAtAccept(ILogger log, SocketKind socket, Exception reason);

    [LoggerMessage(EventId = 203, Level = LogLevel.Warning, Message = "Uid {Uid} has {Limit} connections to the {Socket} socket, the limit; more are closed until it has fewer (told once)")]
    public static partial void TooManyConnections(ILogger log, uint uid, int limit, SocketKind socket);

    [LoggerMessage(EventId = 204, Level = LogLevel.Warning, Message = "Process {Pid} (uid {Uid}, {Comm}) is killed: it holds {How} of a buffer whose revoke is stuck")]
    public static partial void Killed(ILogger log, int pid, uint uid, string comm, string how);
}
