// SPDX-License-Identifier: Apache-2.0

using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging.Console;

namespace BarBroker.Hosting;

/// <summary>Events go to journald, with their fields, where it reads stderr; else to stderr, a line each, with the time.</summary>
internal static class BrokerLogging
{
    public static void Configure(ILoggingBuilder logging)
    {
        // What a client gets wrong is no event of the broker: the gRPC server logs messages that it cannot parse as errors, and could be made to fill
        // the disk. What a service throws unexpectedly is logged by the interceptor,
        // and what keeps the broker from starting is printed by the program.
        logging.SetMinimumLevel(LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.None).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);

        // Not the console's own queue, which wakes a thread for every line and, when it is full, keeps whoever logs waiting.
        logging.Services.RemoveAll<ILoggerProvider>();
        if (JournalOutput.IsStderr(Environment.GetEnvironmentVariable("JOURNAL_STREAM")))
        {
            logging.Services.AddSingleton<ILoggerProvider>(static _ => new LogQueue(new JournalOutput(JournalOutput.DefaultSocket, Console.OpenStandardError())));
            return;
        }

        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.IncludeScopes = false;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            console.UseUtcTimestamp = true;
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        logging.Services.RemoveAll<ILoggerProvider>();
        logging.Services.AddSingleton<ILoggerProvider>(
            static services => new LogQueue(services.GetServices<ConsoleFormatter>().Single(static formatter => formatter.Name == ConsoleFormatterNames.Simple), Console.OpenStandardError()));
    }
}
