// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>How far the end of several leases is, as a bar that moves, below those that have ended.</summary>
internal static class EndingView
{
    /// <param name="screen">A terminal that somebody looks at.</param>
    /// <param name="title">What they are of, or what is done to them.</param>
    /// <param name="ended">Writes a lease there.</param>
    public static Task RunAsync(IAnsiConsole screen, string title, IAsyncEnumerable<(Lease? Lease, EndingProgress Progress)> endings, Action<Lease> ended) => screen
        .Progress()
        .AutoClear(true)
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
        .StartAsync(async context =>
        {
            var task = context.AddTask(Markup.Escape(title));
            await foreach (var (lease, progress) in endings)
            {
                if (lease is not null)
                {
                    ended(lease);
                }

                Show(task, title, progress);
            }
        });

    private static void Show(ProgressTask task, string title, EndingProgress progress)
    {
        // Where there was nothing to end all is done.
        task.MaxValue = Math.Max(1, progress.Total);
        task.Value = progress.Total == 0 ? 1 : progress.Total - progress.Remaining;
        string stuck = progress.Stuck > 0 ? $", [red]{progress.Stuck} stuck[/]" : "";
        task.Description = $"{Markup.Escape(title)}: {progress.Ended} of {progress.Total} ended{stuck}";
    }
}
