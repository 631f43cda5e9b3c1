// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;

namespace BarBroker.Cli.Completing;

/// <summary>Where the cursor is in a command line that is being typed, and what may stand there.</summary>
/// <param name="Words">What is known without a broker: commands, options, fixed values; each with what it means.</param>
/// <param name="Live">What only the broker knows: LEASE or DEVICE; empty: nothing.</param>
/// <param name="TakesFiles">A file or a program may stand there.</param>
/// <param name="RuntimeDirectory">As given on the line before.</param>
internal sealed record Place(IReadOnlyList<(string Word, string Meaning)> Words, string Live, bool TakesFiles, string? RuntimeDirectory)
{
    /// <param name="words">The line without the program's name; the last one is the one that is being typed, perhaps empty.</param>
    public static Place Find(RootCommand root, IReadOnlyList<string> words)
    {
        var commands = new List<Command> { root };
        Option? open = null;
        string? directory = null;
        int positional = 0;
        foreach (string word in words.SkipLast(1))
        {
            if (word == "--")
            {
                return new Place([], "", TakesFiles: true, directory);
            }

            if (word == "=" && open is not null)
            {
                // bash takes the sign for a word of its own.
                continue;
            }

            if (open is not null)
            {
                directory = open.Name == "--runtime-dir" ? word : directory;
                open = null;
            }
            else if (word.StartsWith('-'))
            {
                open = OptionOf(commands, word);
            }
            else if (commands[^1].Subcommands.FirstOrDefault(command => command.Name == word) is { } command)
            {
                commands.Add(command);
            }
            else
            {
                positional++;
            }
        }

        return At(commands, open, positional, words is [.., var last] ? last : "", directory);
    }

    private static Place At(List<Command> commands, Option? open, int positional, string current, string? directory)
    {
        if (open is not null)
        {
            return OfValue(open.HelpName ?? "", open.Name == "--device", directory);
        }

        if (current.StartsWith('-'))
        {
            return new Place([.. OptionsOf(commands).Select(static option => (option.Name, option.Description ?? ""))], "", TakesFiles: false, directory);
        }

        var command = commands[^1];
        if (command.Subcommands.Count > 0)
        {
            return new Place([.. command.Subcommands.Where(static sub => !sub.Hidden).Select(static sub => (sub.Name, sub.Description ?? ""))], "", TakesFiles: false, directory);
        }

        // The last argument of a command may take all that is left.
        var argument = command.Arguments.Count == 0 ? null : command.Arguments[Math.Min(positional, command.Arguments.Count - 1)];
        bool isFull = argument is null || (positional >= command.Arguments.Count && argument.Arity.MaximumNumberOfValues <= 1);
        return isFull ? new Place([], "", TakesFiles: false, directory) : OfValue(argument!.HelpName ?? "", isDevice: false, directory);
    }

    /// <param name="name">What help calls the value.</param>
    private static Place OfValue(string name, bool isDevice, string? directory) => name switch
    {
        "DEVICE" or "ADDRESS|NAME" => new([], "DEVICE", TakesFiles: false, directory),
        _ when isDevice => new([], "DEVICE", TakesFiles: false, directory),
        "LEASE" => new([], "LEASE", TakesFiles: false, directory),
        "FILE" or "DIR" or "PATH" or "COMMAND" => new([], "", TakesFiles: true, directory),
        // A choice: table|json|jsonl.
        _ when name.Contains('|', StringComparison.Ordinal) && !name.Any(char.IsUpper) => new([.. name.Split('|').Select(static word => (word, ""))], "", TakesFiles: false, directory),
        _ => new([], "", TakesFiles: false, directory),
    };

    private static IEnumerable<Option> OptionsOf(List<Command> commands) =>
        commands[^1].Options.Concat(commands.SkipLast(1).SelectMany(static command => command.Options.Where(static option => option.Recursive))).Where(static option => !option.Hidden);

    /// <summary>The option that a word names, if its value is still to come.</summary>
    private static Option? OptionOf(List<Command> commands, string word) => OptionsOf(commands).FirstOrDefault(option =>
        (option.Name == word || option.Aliases.Contains(word)) && option.Arity.MaximumNumberOfValues > 0 && option.ValueType != typeof(bool));
}
