// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Configuration;
using Microsoft.Extensions.Hosting.Systemd;

namespace BarBroker.Hosting;

/// <summary>One run of the daemon, from the options to the exit status.</summary>
internal static class BrokerProgram
{
    public static int Run(string configuration, string? runtimeDirectory, bool check)
    {
        try
        {
            BrokerOptions Read() => Load(configuration, runtimeDirectory);
            if (!check)
            {
                return ServeAsync(Read, configuration).GetAwaiter().GetResult();
            }

            Read();
            Console.Out.WriteLine($"{configuration}: OK");
            return ExitCodes.Done;
        }
        catch (ConfigurationException exception)
        {
            Console.Error.WriteLine($"barbrokerd: {exception.Message}");
            return ExitCodes.Configuration;
        }
        catch (StartupException exception)
        {
            Console.Error.WriteLine($"barbrokerd: {exception.Message}");
            return ExitCodes.Unavailable;
        }
    }

    /// <summary>The configuration, checked as far as that is possible without taking anything.</summary>
    private static BrokerOptions Load(string configuration, string? runtimeDirectory)
    {
        var options = ConfigurationFile.Load(configuration, runtimeDirectory);
        SocketAccess.Resolve(options, configuration);
        return options;
    }

    private static async Task<int> ServeAsync(Func<BrokerOptions> read, string configuration)
    {
        await using var host = BrokerHost.Build(read(), configuration, BrokerLogging.Configure, read);
        var stop = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var terminate = OnSignal(PosixSignal.SIGTERM, () => stop.TrySetResult("SIGTERM"));
        using var interrupt = OnSignal(PosixSignal.SIGINT, () => stop.TrySetResult("SIGINT"));

        // Does nothing where no service manager listens (sd_notify(3)).
        var manager = new SystemdNotifier();
        var ready = new TaskCompletionSource();
        using var hangUp = OnSignal(PosixSignal.SIGHUP, () => _ = ReloadAsync(host, manager, ready.Task));
        await host.StartAsync(CancellationToken.None);
        Tell(manager, ServiceState.Ready, host.Log);
        ready.SetResult();

        using var trim = new MemoryTrim(TimeProvider.System);
        var end = await Task.WhenAny(stop.Task, host.Fault);
        Tell(manager, ServiceState.Stopping, host.Log);
        await host.StopAsync(await end);
        return end == stop.Task ? ExitCodes.Done : ExitCodes.Failed;
    }

    /// <summary>Never fails: whatever goes wrong leaves the broker as it was. A signal that came early waits for the start.</summary>
    private static async Task ReloadAsync(BrokerHost host, SystemdNotifier manager, Task ready)
    {
        await ready.ConfigureAwait(false);

        // The time stamp is CLOCK_MONOTONIC in microseconds, as Type=notify-reload wants it (sd_notify(3)).
        Tell(manager, new ServiceState(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}")), host.Log);
        try
        {
            var outcome = host.Reloader.Reload("SIGHUP", apply: false);
            host.Journal?.Reloaded(outcome);
        }
        catch (Exception exception)
        {
            HostLog.ReloadFailed(host.Log, exception);
        }

        Tell(manager, ServiceState.Ready, host.Log);
    }

    /// <summary>A service manager that does not listen any more must not keep the leases from being ended.</summary>
    private static void Tell(SystemdNotifier manager, ServiceState state, ILogger log)
    {
        try
        {
            manager.Notify(state);
        }
        catch (SocketException exception)
        {
            HostLog.NotToldServiceManager(log, exception);
        }
    }

    private static PosixSignalRegistration OnSignal(PosixSignal signal, Action action) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    });
}
