// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;

namespace BarBroker.Bench;

/// <summary>What a process measured: lines of a figure's name and its median in nanoseconds.</summary>
internal static class Measured
{
    public static string Line(string name, Samples samples) => string.Create(CultureInfo.InvariantCulture, $"{name} {samples.Quantile(0.5) * 1000:F0}");

    /// <summary>Starts the process anew and gives its figures, in microseconds.</summary>
    public static Dictionary<string, double> By(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException($"{program} did not start");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
                .ToDictionary(words => words[0], words => double.Parse(words[1], CultureInfo.InvariantCulture) / 1000)
            : throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
    }
}
