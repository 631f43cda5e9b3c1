// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

internal static partial class EpochLog
{
    [LoggerMessage(EventId = 300, Level = LogLevel.Error, Message = "Epochs from {Epoch} on could not be reserved; tried again soon, and the broker ends before it needs them")]
    public static partial void NotWritten(ILogger log, ulong epoch, Exception exception);

    [LoggerMessage(EventId = 301, Level = LogLevel.Critical, Message = "Epochs are reserved only up to {Epoch} and no more could be; the broker ends")]
    public static partial void Exhausted(ILogger log, ulong epoch);
}
