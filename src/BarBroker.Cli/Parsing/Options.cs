// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using System.CommandLine.Parsing;
using BarBroker.Client;

namespace BarBroker.Cli.Parsing;

/// <summary>Options whose values are read by <see cref="Quantities"/>, with errors that show how to write them.</summary>
internal static class Options
{
    public static Option<ulong?> Size(string name, string description, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result => Quantities.TrySize(Text(result), out ulong size) ? size : Wrong<ulong?>(result, name, "a size such as 4096, 0x1000, 64KiB or 16MiB"),
    };

    public static Option<TimeSpan?> Duration(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result => Quantities.TryDuration(Text(result), out var time) ? time : Wrong<TimeSpan?>(result, name, "a time such as 250ms, 30s, 5m or 1h"),
    };

    /// <summary>A moment of the wall clock: given as such, in local time unless it says otherwise, or as a time before now.</summary>
    public static Option<DateTimeOffset?> Moment(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result => Quantities.TryMoment(Text(result), DateTimeOffset.Now, out var moment) ? moment : Wrong<DateTimeOffset?>(result, name, "a time such as 1h (ago), 2026-01-31 or 2026-01-31T12:00:00Z"),
    };

    public static Option<BarRange[]> Ranges(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "OFFSET+LENGTH",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result => Many(result, text => Quantities.TryRange(text, out var range) ? range : (BarRange?)null, name, "an offset and a length such as 0x1000+8KiB"),
    };

    public static Option<BufferSpec[]> Buffers(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "BAR:SIZE|BAR:RANGE,...",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result => ManyOf(result, Quantities.ToBuffer, name, "a BAR with a size or ranges, such as 2:64KiB or 0:0x4000+0x1000,0x0+0x1000"),
    };

    public static Option<KeyValuePair<string, string>[]> Labels(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "KEY=VALUE",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result => Many(result, ToLabel, name, "a key and a value such as team=storage"),
    };

    public static Option<T> Choice<T>(string name, string description, string[] words, T[] values, params string[] aliases)
    {
        var option = new Option<T>(name, aliases)
        {
            Description = $"{description} [default: {words[0]}]",
            HelpName = string.Join('|', words),
            CustomParser = result => Array.IndexOf(words, Text(result)) is >= 0 and var index ? values[index] : Wrong<T>(result, name, $"one of {string.Join(", ", words)}")!,
        };
        return option;
    }

    /// <summary>Some of several words.</summary>
    public static Option<T[]> Choices<T>(string name, string description, string[] words, T[] values) where T : struct => new(name)
    {
        Description = description,
        HelpName = string.Join('|', words),
        Arity = ArgumentArity.OneOrMore,
        CustomParser = result => Many(result, text => Array.IndexOf(words, text) is >= 0 and var index ? values[index] : (T?)null, name, $"one of {string.Join(", ", words)}"),
    };

    private static KeyValuePair<string, string>? ToLabel(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 ? KeyValuePair.Create(text[..equals], text[(equals + 1)..]) : null;
    }

    private static string Text(ArgumentResult result) => result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";

    private static T? Wrong<T>(ArgumentResult result, string name, string expected)
    {
        result.AddError($"'{Text(result)}' is not what {name} takes: {expected}.");
        return default;
    }

    private static T[] Many<T>(ArgumentResult result, Func<string, T?> parse, string name, string expected) where T : struct =>
        Collect(result, text => parse(text) is { } value ? [value] : (T[])[], name, expected);

    private static T[] ManyOf<T>(ArgumentResult result, Func<string, T?> parse, string name, string expected) where T : class =>
        Collect(result, text => parse(text) is { } value ? [value] : (T[])[], name, expected);

    /// <param name="parse">One value, or none where the text is not one.</param>
    private static T[] Collect<T>(ArgumentResult result, Func<string, T[]> parse, string name, string expected)
    {
        var values = new List<T>();
        foreach (var token in result.Tokens)
        {
            var parsed = parse(token.Value);
            values.AddRange(parsed);
            if (parsed.Length == 0)
            {
                result.AddError($"'{token.Value}' is not what {name} takes: {expected}.");
            }
        }

        return [.. values];
    }
}
