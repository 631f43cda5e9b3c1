// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Devices.Simulated;

/// <summary>Stands before each operation of a device and lets it pass, late or never, as the faults file says at that moment.</summary>
internal sealed class SimulatedFaultGate(string device, string? file)
{
    /// <summary>Between looks at the file while stuck, and for what a device says of itself.</summary>
    public static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    public bool IsConfigured => file is not null;

    public SimulatedFaults Read() => file is null ? SimulatedFaults.None : SimulatedFaults.Read(file);

    /// <summary>Blocks the calling thread, which is the device's own, for as long as the faults say.</summary>
    /// <exception cref="IOException">The fault; or the file is malformed.</exception>
    public void Pass(SimulatedOperation operation)
    {
        if (file is null)
        {
            return;
        }

        var faults = Read();
        Thread.Sleep(faults[operation].Delay);
        while (faults[operation].IsStuck)
        {
            Thread.Sleep(PollInterval);
            faults = Read();
        }

        if ((faults.IsVanished && operation != SimulatedOperation.Close) || (faults.IsRequested && operation == SimulatedOperation.Open))
        {
            throw Failure(operation, Errno.ENODEV);
        }

        if (faults[operation].Errno is var errno and not Errno.None)
        {
            throw Failure(operation, errno);
        }
    }

#pragma warning disable CA1308 // The operations are lower case in the faults file, and so in the message.
    private LinuxException Failure(SimulatedOperation operation, Errno errno) =>
        new($"simulated {operation.ToString().ToLowerInvariant()}", $"device {device}", errno);
#pragma warning restore CA1308
}
