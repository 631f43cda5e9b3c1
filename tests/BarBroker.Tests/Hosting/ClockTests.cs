// SPDX-License-Identifier: Apache-2.0

using System.Text.RegularExpressions;
using BarBroker.Testing;

namespace BarBroker.Tests.Hosting;

/// <summary>
/// What decides about leases asks the broker's <see cref="TimeProvider"/>, which counts CLOCK_BOOTTIME: the time of the day may be set to anything meanwhile, and the machine may sleep. Every other
/// look at a clock, and every other wait, is listed here with its reason.
/// </summary>
public sealed partial class ClockTests
{
    private static readonly string[] Projects = ["BarBroker", "BarBroker.Policy", "BarBroker.Linux", "BarBroker.Client"];

    private static readonly Dictionary<string, string> Allowed = new()
    {
        ["BarBroker/Devices/Simulated/SimulatedDevice.cs"] = "a simulated device is looked at from time to time, whether it was to vanish",
        ["BarBroker/Devices/Simulated/SimulatedFaultGate.cs"] = "the delay that a simulated fault is",
        ["BarBroker/FdChannel/FdChannelServer.cs"] = "a pause after an accept that failed",
        ["BarBroker/Hosting/BrokerHost.cs"] = "how long a shutdown waits, by a timer of the monotonic clock",
        ["BarBroker/Hosting/BrokerProgram.cs"] = "when memory is trimmed",
        ["BarBroker/Hosting/RuntimeDirectory.cs"] = "how long it waits for another broker that is just beginning or ending, by the monotonic clock",
        ["BarBroker/Hosting/ServiceReport.cs"] = "MONOTONIC_USEC, which systemd asks for",
        ["BarBroker/Hosting/LogQueue.cs"] = "a pause between lines of the log",
        ["BarBroker/Leases/Book/LeaseBook.Proofs.cs"] = "a pause between looks whether more proofs have come",
        ["BarBroker/Leases/Devices/DeviceWorker.Keeping.cs"] = "a pause between looks whether another process has closed a device",
        ["BarBroker/Restart/FormerDevices.cs"] = "a pause between looks whether the service manager has closed what it was told to",
        ["BarBroker.Client/BrokerClient.cs"] = "how long a call waits for its answer, by a timer of the monotonic clock",
        ["BarBroker.Client/FdReader.cs"] = "50 microseconds of looking before sleeping",
        ["BarBroker.Client/KeepAlive.cs"] = "how long a call waits for its answer, by a timer of the monotonic clock",
        ["BarBroker.Client/LeaseFollower.cs"] = "a pause between attempts to connect",
        ["BarBroker.Client/Lease.cs"] = "how long a release waits for its answer, by a timer of the monotonic clock",
    };

    /// <summary>Only for people to read.</summary>
    private static readonly Dictionary<string, string> TimesOfDay = new()
    {
        ["BarBroker/Journal/JournalWriter.cs"] = "when something happened, as history tells it",
        ["BarBroker/Journal/RunIdentity.cs"] = "when the broker was started, as history tells it",
    };

    [Fact]
    public void Sources_LookAtNoOtherClock_ThanTheReasonsSay()
    {
        string root = Path.Combine(Repository.Root, "src");
        var found = Projects
            .SelectMany(project => Directory.EnumerateFiles(Path.Combine(root, project), "*.cs", SearchOption.AllDirectories))
            .SelectMany(file => File.ReadLines(file).Select((line, index) => (File: Path.GetRelativePath(root, file), Line: $"{index + 1}: {line.Trim()}")))
            .Where(source => ClockPattern().IsMatch(source.Line))
            .ToLookup(source => source.File, source => source.Line);

        string[] reasoned = [.. Allowed.Keys, .. TimesOfDay.Keys];
        var others = found.Where(file => !reasoned.Contains(file.Key)).Select(file => $"{file.Key}:{string.Join("; ", file)}");
        Assert.True(!others.Any(), $"give a reason here, or ask the TimeProvider: {string.Join("\n", others)}");
        Assert.Equal(reasoned.Order(), reasoned.Where(found.Contains).Order());
        Assert.DoesNotContain(found.Where(file => !TimesOfDay.ContainsKey(file.Key)).SelectMany(file => file), line => TimeOfDayPattern().IsMatch(line));
    }

    [GeneratedRegex(@"DateTime(Offset)?\.(Now|UtcNow|Today)|Get(Utc|Local)Now\(|CLOCK_REALTIME|gettimeofday")]
    private static partial Regex TimeOfDayPattern();

    /// <summary>With those that wait by a timer which is not the broker's.</summary>
    [GeneratedRegex(
        @"DateTime(Offset)?\.(Now|UtcNow|Today)|Get(Utc|Local)Now\(|CLOCK_REALTIME|gettimeofday|Stopwatch\.|TickCount|TimeProvider\.System|Task\.Delay\(|Thread\.Sleep\(|new (System\.Threading\.)?Timer\(|new PeriodicTimer\(|CancelAfter\(|new CancellationTokenSource\([^)]")]
    private static partial Regex ClockPattern();
}
