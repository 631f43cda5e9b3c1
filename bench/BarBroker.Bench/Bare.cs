// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;

namespace BarBroker.Bench;

/// <summary>Runs bench/native/bare.c and reads its figures, in microseconds.</summary>
internal static class Bare
{
    public static Dictionary<string, double> Run(string program, int rounds, long size)
    {
        using var process = Process.Start(new ProcessStartInfo(program, [Text(rounds), Text(size)]) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException($"{program} did not start");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
                .ToDictionary(words => words[0], words => double.Parse(words[1], CultureInfo.InvariantCulture) / 1000)
            : throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
