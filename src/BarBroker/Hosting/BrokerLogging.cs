// SPDX-License-Identifier: Apache-2.0

using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging.Console;

namespace BarBroker.Hosting;

/// <summary>One line an event, to stderr: with journald's priorities where journald reads it, else with the time.</summary>
internal static class BrokerLogging
{
    public static void Configure(ILoggingBuilder logging)
    {
        // What a client gets wrong is no event of the broker: the gRPC server logs messages that it cannot parse as errors, and could be made to fill
        // the disk. What a service throws unexpectedly is logged by the interceptor,
        // and what keeps the broker from starting is printed by the program.
        logging.SetMinimumLevel(LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.None).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);

        // systemd.exec(5): set where stdout or stderr goes to the journal.
        bool isJournal = Environment.GetEnvironmentVariable("JOURNAL_STREAM") is { Length: > 0 };
        if (isJournal)
        {
            logging.AddSystemdConsole(console => console.IncludeScopes = false);
        }
        else
        {
            logging.AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.IncludeScopes = false;
                console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                console.UseUtcTimestamp = true;
                console.ColorBehavior = LoggerColorBehavior.Disabled;
            });
        }

        // Their formats, but not their queue, which wakes a thread for every line and, when it is full, keeps whoever logs waiting.
        string format = isJournal ? ConsoleFormatterNames.Systemd : ConsoleFormatterNames.Simple;
        logging.Services.RemoveAll<ILoggerProvider>();
        logging.Services.AddSingleton<ILoggerProvider>(
            services => new LogQueue(services.GetServices<ConsoleFormatter>().Single(formatter => formatter.Name == format), Console.OpenStandardError()));
    }
}
