// SPDX-License-Identifier: Apache-2.0

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
            var options = ConfigurationFile.Load(configuration, runtimeDirectory);
            if (!check)
            {
                return ServeAsync(options, configuration).GetAwaiter().GetResult();
            }

            SocketAccess.Resolve(options, configuration);
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

    private static async Task<int> ServeAsync(BrokerOptions options, string configuration)
    {
        await using var host = BrokerHost.Build(options, configuration, BrokerLogging.Configure);
        var stop = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var terminate = OnSignal(PosixSignal.SIGTERM, () => stop.TrySetResult("SIGTERM"));
        using var interrupt = OnSignal(PosixSignal.SIGINT, () => stop.TrySetResult("SIGINT"));
        using var hangUp = OnSignal(PosixSignal.SIGHUP, () => HostLog.NoReload(host.Log));
        await host.StartAsync(CancellationToken.None);

        // Does nothing where no service manager listens (sd_notify(3)).
        var manager = new SystemdNotifier();
        Tell(manager, ServiceState.Ready, host.Log);

        using var trim = new MemoryTrim(TimeProvider.System);
        var end = await Task.WhenAny(stop.Task, host.Fault);
        Tell(manager, ServiceState.Stopping, host.Log);
        await host.StopAsync(await end);
        return end == stop.Task ? ExitCodes.Done : ExitCodes.Failed;
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
