// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Configuration;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

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
        using var start = TakeStart();
        await using var host = BrokerHost.Build(read(), configuration, BrokerLogging.Configure, read, start);
        var stop = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Not disposed of: a signal may come at any time.
        var starting = new CancellationTokenSource();
        using var terminate = OnSignal(PosixSignal.SIGTERM, () => Stop("SIGTERM"));
        using var interrupt = OnSignal(PosixSignal.SIGINT, () => Stop("SIGINT"));
        var report = new ServiceReport(start.Notifier, host.Log);
        var ready = new TaskCompletionSource();
        using var hangUp = OnSignal(PosixSignal.SIGHUP, () => _ = ReloadAsync(host, report, ready.Task));
        try
        {
            await host.StartAsync(starting.Token);
        }
        catch (OperationCanceledException) when (starting.IsCancellationRequested)
        {
            // It waited for devices. What is not taken up yet is the next run's.
            report.Stopping();
            await host.StopAsync($"{await stop.Task}, while it was starting");
            return ExitCodes.Done;
        }

        host.Vitals.Taken += signs => Tell(report, host, signs, start.Watchdog is not null);
        report.Ready();
        ready.SetResult();

        using var trim = new MemoryTrim(TimeProvider.System);
        var end = await Task.WhenAny(stop.Task, host.Fault);
        report.Stopping();
        await host.StopAsync(await end);
        return end == stop.Task ? ExitCodes.Done : ExitCodes.Failed;

        void Stop(string signal)
        {
            stop.TrySetResult(signal);
            starting.Cancel();
        }
    }

    private static ServiceStart TakeStart()
    {
        try
        {
            return ServiceStart.Take();
        }
        catch (Exception exception) when (exception is FormatException or LinuxException)
        {
            throw new StartupException($"What the service manager passes makes no sense: {exception.Message}", exception);
        }
    }

    private static void Tell(ServiceReport report, BrokerHost host, VitalSigns signs, bool watchdog)
    {
        if (watchdog && signs.AreGood)
        {
            report.Alive();
        }

        report.Status(signs.AreGood ? host.Summary() : signs.Complaint);
    }

    /// <summary>Never fails: whatever goes wrong leaves the broker as it was. A signal that came early waits for the start.</summary>
    private static async Task ReloadAsync(BrokerHost host, ServiceReport report, Task ready)
    {
        await ready.ConfigureAwait(false);
        report.Reloading();
        try
        {
            var outcome = host.Reloader.Reload("SIGHUP", apply: false);
            host.Journal?.Reloaded(outcome);
        }
        catch (Exception exception)
        {
            HostLog.ReloadFailed(host.Log, exception);
        }

        report.Ready();
    }

    private static PosixSignalRegistration OnSignal(PosixSignal signal, Action action) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    });
}
