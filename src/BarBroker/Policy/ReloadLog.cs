// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

internal static partial class ReloadLog
{
    [LoggerMessage(EventId = 420, Level = LogLevel.Information, Message = "Configuration read again for {Who}; in force: {Changed}")]
    public static partial void Reloaded(ILogger log, string who, string changed);

    [LoggerMessage(EventId = 421, Level = LogLevel.Warning, Message = "The configuration has changes that need a restart: {Keys}")]
    public static partial void NeedRestart(ILogger log, string keys);

    [LoggerMessage(EventId = 422, Level = LogLevel.Warning, Message = "The configuration was read again for {Who} and is faulty; nothing has changed. {Faults}")]
    public static partial void Faulty(ILogger log, string who, string faults);

    [LoggerMessage(EventId = 423, Level = LogLevel.Information, Message = "The new policy was applied to living leases: {Ended} end")]
    public static partial void Applied(ILogger log, int ended);
}
