// SPDX-License-Identifier: Apache-2.0

using BarBroker.V1;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>How far a drain is, as a bar that moves, below the leases that have ended.</summary>
internal static class DrainView
{
    /// <param name="screen">A terminal that somebody looks at.</param>
    /// <param name="ended">Writes a lease there.</param>
    public static Task RunAsync(IAnsiConsole screen, string device, IAsyncEnumerable<DrainDeviceResponse> responses, Action<Lease> ended) => screen
        .Progress()
        .AutoClear(true)
        .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
        .StartAsync(async context =>
        {
            var task = context.AddTask(Markup.Escape(device));
            await foreach (var response in responses)
            {
                if (response.Lease is { } lease)
                {
                    ended(lease);
                }

                Show(task, device, response.Progress);
            }
        });

    private static void Show(ProgressTask task, string device, EndingProgress progress)
    {
        // Where there was nothing to end all is done.
        task.MaxValue = Math.Max(1, progress.Total);
        task.Value = progress.Total == 0 ? 1 : progress.Total - progress.Remaining;
        string stuck = progress.Stuck > 0 ? $", [red]{progress.Stuck} stuck[/]" : "";
        task.Description = $"{Markup.Escape(device)}: {progress.Ended} of {progress.Total} ended{stuck}";
    }
}
