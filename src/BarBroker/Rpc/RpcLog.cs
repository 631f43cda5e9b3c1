// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

internal static partial class RpcLog
{
    [LoggerMessage(EventId = 100, Level = LogLevel.Error, Message = "{Method} failed by a fault of the broker")]
    public static partial void Failed(ILogger log, string method, Exception exception);

    [LoggerMessage(EventId = 101, Level = LogLevel.Debug, Message = "{Method} refused: {Reason}")]
    public static partial void Refused(ILogger log, string method, string reason);
}
