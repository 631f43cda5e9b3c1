// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Restart;

internal static partial class RestartLog
{
    [LoggerMessage(EventId = 600, Level = LogLevel.Warning, Message = "The service manager's store of descriptors is full ({Files} of {Capacity}): leases from now on do not outlive a restart of the broker, and after a crash neither do others of their devices. Raise FileDescriptorStoreMax=, up to about 14,000 (told once)")]
    public static partial void StoreFull(ILogger log, int files, int capacity);

    [LoggerMessage(EventId = 601, Level = LogLevel.Error, Message = "The service manager does not keep {Name} over a restart")]
    public static partial void NotStored(ILogger log, string name, Exception exception);

    [LoggerMessage(EventId = 602, Level = LogLevel.Error, Message = "The service manager could not be told to let go of {Name}")]
    public static partial void NotForgotten(ILogger log, string name, Exception exception);

    [LoggerMessage(EventId = 603, Level = LogLevel.Error, Message = "The service manager has not let go within {Timeout} of what it keeps")]
    public static partial void NotSettled(ILogger log, TimeSpan timeout);

    [LoggerMessage(EventId = 604, Level = LogLevel.Information, Message = "Leases outlive a restart of the broker: the service manager keeps up to {Capacity} descriptors meanwhile")]
    public static partial void Preserving(ILogger log, int capacity);

    [LoggerMessage(EventId = 605, Level = LogLevel.Information, Message = "Leases end with the broker: {Reason}")]
    public static partial void NotPreserving(ILogger log, string reason);

    [LoggerMessage(EventId = 606, Level = LogLevel.Information, Message = "Restarted: {Leases} leases of before go on, on {Devices} devices, {Milliseconds} ms after the start")]
    public static partial void Restored(ILogger log, int leases, int devices, long milliseconds);

    [LoggerMessage(EventId = 607, Level = LogLevel.Warning, Message = "Device {Device}: what was kept of it is not believed, and is let go: {Problem}")]
    public static partial void NotBelieved(ILogger log, string device, string problem);

    [LoggerMessage(EventId = 608, Level = LogLevel.Warning, Message = "The service manager passed a descriptor that is not known here, {Name}: it is closed, and not kept any more")]
    public static partial void Unknown(ILogger log, string name);

    [LoggerMessage(EventId = 609, Level = LogLevel.Warning, Message = "What the broker kept over its restart is not complete: {Problem}. All leases of before end")]
    public static partial void Doubt(ILogger log, string problem);

    [LoggerMessage(EventId = 610, Level = LogLevel.Information, Message = "{Leases} leases go on without the broker, for the next one to take up")]
    public static partial void Left(ILogger log, int leases);

    [LoggerMessage(EventId = 611, Level = LogLevel.Warning, Message = "Device {Device} is not configured any more: what was kept of it is let go, and its leases end")]
    public static partial void Former(ILogger log, string device);

    [LoggerMessage(EventId = 612, Level = LogLevel.Error, Message = "Access to what was kept as {Name} could not be ended; it is kept, and tried again at the next start")]
    public static partial void NotRevoked(ILogger log, string name, Exception exception);

    [LoggerMessage(EventId = 613, Level = LogLevel.Warning, Message = "Device {Device} is not configured any more, and nothing proves that access to it is over: {Doubt}. {Leases} of its leases get no end in the journal; it is tried again at the next start. Configure the device again, or restart the machine")]
    public static partial void Unproven(ILogger log, string device, int leases, string doubt);
}
