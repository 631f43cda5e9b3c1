// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Events;

namespace BarBroker.Cli.Running;

/// <summary>For commands that write on without end: they end as by SIGPIPE, which the runtime ignores, once nobody reads what they write.</summary>
internal static class LostReader
{
    private const int Sigpipe = 13;

    public static void EndsTheProcess()
    {
        var watcher = new Thread(static () =>
        {
            OutputReader.WaitUntilGone();
            Environment.Exit(ExitCode.Signal + Sigpipe);
        })
        {
            IsBackground = true,
            Name = "reader of the output",
        };
        watcher.Start();
    }
}
