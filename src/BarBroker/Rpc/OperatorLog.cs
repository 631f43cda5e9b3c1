// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

/// <summary>Who asked for what on the operator socket.</summary>
internal static partial class OperatorLog
{
    [LoggerMessage(EventId = 110, Level = LogLevel.Information, Message = "Operator ({Caller}): revoke {Count} leases, grace {Grace}")]
    public static partial void Revoke(ILogger log, Caller caller, int count, TimeSpan grace);

    [LoggerMessage(EventId = 111, Level = LogLevel.Information, Message = "Operator ({Caller}): cordon {Device}")]
    public static partial void Cordon(ILogger log, Caller caller, string device);

    [LoggerMessage(EventId = 112, Level = LogLevel.Information, Message = "Operator ({Caller}): uncordon {Device}")]
    public static partial void Uncordon(ILogger log, Caller caller, string device);

    [LoggerMessage(EventId = 113, Level = LogLevel.Information, Message = "Operator ({Caller}): drain {Device}, grace {Grace}")]
    public static partial void Drain(ILogger log, Caller caller, string device, TimeSpan grace);

    [LoggerMessage(EventId = 114, Level = LogLevel.Information, Message = "Operator ({Caller}): reset {Device}, grace {Grace}")]
    public static partial void Reset(ILogger log, Caller caller, string device, TimeSpan grace);
}
