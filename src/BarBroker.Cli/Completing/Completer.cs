// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Commands;
using BarBroker.Cli.Output;
using BarBroker.Client;

namespace BarBroker.Cli.Completing;

/// <summary>What the scripts of the shells call: a word a line, with a tab and its meaning behind it.</summary>
internal static class Completer
{
    /// <summary>The first argument of such a call; no command, and so in no help.</summary>
    public const string Marker = "__complete";

    /// <summary>Tells a script to offer files, too.</summary>
    public const string Files = ":files";

    /// <param name="words">The line without the program's name; the last one is being typed.</param>
    public static async Task<int> RunAsync(string[] words)
    {
        var place = Place.Find(BarctlCommand.Create(), words);
        string typed = words is [.., var last and not "="] ? last : "";
        IEnumerable<(string Word, string Meaning)> found = place.Live.Length > 0
            ? await LiveIds.FindAsync(place.Live, BrokerPaths.RuntimeDirectory(place.RuntimeDirectory))
            : place.Words;
        foreach (var (word, meaning) in found.Where(candidate => candidate.Word.StartsWith(typed, StringComparison.Ordinal)))
        {
            Console.Out.WriteLine(meaning.Length > 0 ? $"{word}\t{Words.Printable(meaning)}" : word);
        }

        if (place.TakesFiles)
        {
            Console.Out.WriteLine(Files);
        }

        return ExitCode.Done;
    }
}
