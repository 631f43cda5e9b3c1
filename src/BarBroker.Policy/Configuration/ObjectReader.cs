// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;

namespace BarBroker.Configuration;

/// <summary>
/// Reads the members of one object of the configuration. Whatever is wrong becomes a fault and the default is returned, so that reading goes on.
/// A member that is absent or null has its default.
/// </summary>
internal sealed class ObjectReader
{
    private readonly ConfigNode _node;
    private readonly ConfigurationFaults _faults;
    private readonly List<string> _known = [];

    public ObjectReader(ConfigNode node, ConfigurationFaults faults)
    {
        _node = node;
        _faults = faults;
        if (node.Kind != ConfigNodeKind.Object)
        {
            faults.Add(node, $"{Show(node)} is no object; write {{ … }}");
        }
    }

    /// <summary>A value for a message.</summary>
    public static string Show(ConfigNode node) => node.Kind switch
    {
        ConfigNodeKind.Object => "an object",
        ConfigNodeKind.List => "a list",
        ConfigNodeKind.Text => $"\"{node.Text}\"",
        _ => node.Text,
    };

    public ConfigNode Node => _node;

    /// <summary>Whether the member is there with a value. Where it stands, for faults that concern it.</summary>
    public bool Has(string name) => Find(name) is not null;

    public void Fault(string name, string message) =>
        _faults.Add(_node.MemberPath(name), Find(name)?.Line ?? _node.Line, message);

    public void Fault(ConfigNode node, string message) => _faults.Add(node, message);

    public ObjectReader Section(string name) => new(Find(name) ?? new ConfigNode(ConfigNodeKind.Object, _node.MemberPath(name), 0), _faults);

    public IEnumerable<ObjectReader> Objects(string name) => Items(name).Select(item => new ObjectReader(item, _faults));

    public string? Text(string name)
    {
        var node = Find(name, ConfigNodeKind.Text, "a string");
        if (node?.Text.Length == 0)
        {
            _faults.Add(node, "is empty");
        }

        return node?.Text;
    }

    /// <summary>A string that must be there.</summary>
    public string RequiredText(string name)
    {
        if (!Has(name))
        {
            Fault(name, "is missing");
        }

        return Text(name) ?? "";
    }

    public bool Flag(string name, bool otherwise) => Find(name, ConfigNodeKind.Flag, "true or false") is { } node ? node.Text == "true" : otherwise;

    public int Number(string name, int otherwise, int min, int max) =>
        Find(name) is { } node ? Number(node, otherwise, min, max) : otherwise;

    public IEnumerable<int> Numbers(string name, int min, int max) => Items(name).Select(item => Number(item, min, min, max));

    public TimeSpan Duration(string name, TimeSpan otherwise, TimeSpan min, TimeSpan max)
    {
        if (Find(name) is not { } node)
        {
            return otherwise;
        }

        if (node.Kind != ConfigNodeKind.Text || !Quantity.TryParseDuration(node.Text, out var duration))
        {
            _faults.Add(node, $"{Show(node)} is no duration; write a whole number with ms, s, m or h, such as \"30s\"");
            return otherwise;
        }

        return InBounds(node, duration, otherwise, min, max, Quantity.Format);
    }

    /// <summary>As above; "never" is null.</summary>
    public TimeSpan? DurationOrNever(string name, TimeSpan? otherwise, TimeSpan min, TimeSpan max) => Find(name) switch
    {
        null => otherwise,
        { Kind: ConfigNodeKind.Text, Text: "never" } => null,
        _ => Duration(name, otherwise ?? min, min, max),
    };

    public ulong Size(string name, ulong otherwise, ulong min, ulong max)
    {
        if (Find(name) is not { } node)
        {
            return otherwise;
        }

        if (node.Kind is not (ConfigNodeKind.Text or ConfigNodeKind.Number) || !Quantity.TryParseSize(node.Text, out ulong bytes))
        {
            _faults.Add(node, $"{Show(node)} is no size; write bytes, or a whole number with KiB, MiB, GiB or TiB, such as \"64MiB\"");
            return otherwise;
        }

        return InBounds(node, bytes, otherwise, min, max, Quantity.Format);
    }

    /// <summary>As above, without a default: null also if it is faulty, so that no other fault follows from it.</summary>
    public int? Number(string name, int min, int max) => Number(name, int.MinValue, min, max) is var number and not int.MinValue ? number : null;

    public TimeSpan? Duration(string name, TimeSpan min, TimeSpan max) =>
        Duration(name, TimeSpan.MinValue, min, max) is var duration && duration != TimeSpan.MinValue ? duration : null;

    /// <param name="min">Not 0.</param>
    public ulong? Size(string name, ulong min, ulong max) => Size(name, 0, min, max) is var bytes and not 0 ? bytes : null;

    /// <summary>One value, or a list of at least one.</summary>
    public IReadOnlyList<ConfigNode> Values(string name)
    {
        if (Find(name) is not { } node)
        {
            return [];
        }

        if (node.Kind == ConfigNodeKind.List && node.Items.Count == 0)
        {
            _faults.Add(node, "is empty; leave it out if it shall not matter");
        }

        return node.Kind == ConfigNodeKind.List ? node.Items : [node];
    }

    /// <summary>Names with <c>*</c> and <c>?</c>, one or a list; empty if it is not there.</summary>
    /// <param name="what">What has such a name, with its article.</param>
    public ImmutableArray<string> Globs(string name, string what)
    {
        var globs = ImmutableArray.CreateBuilder<string>();
        foreach (var node in Values(name))
        {
            if (node.Kind != ConfigNodeKind.Text || node.Text.Length == 0)
            {
                Fault(node, $"{Show(node)} is no name of {what}; * and ? stand for any characters and any one");
            }

            globs.Add(node.Text);
        }

        return globs.ToImmutable();
    }

    public bool IsEmptyList(string name) => Find(name) is { Kind: ConfigNodeKind.List, Items.Count: 0 };

    /// <summary>One of the choices, or a list of them; empty if it is not there.</summary>
    public ImmutableArray<T> Choices<T>(string name, params ReadOnlySpan<(string Text, T Value)> choices)
    {
        var chosen = ImmutableArray.CreateBuilder<T>();
        foreach (var node in Values(name))
        {
            if (TryChoice(node, choices, out var value))
            {
                chosen.Add(value);
            }
        }

        return chosen.ToImmutable();
    }

    public T Choice<T>(string name, T otherwise, params ReadOnlySpan<(string Text, T Value)> choices)
    {
        if (Find(name) is not { } node)
        {
            return otherwise;
        }

        return TryChoice(node, choices, out var chosen) ? chosen : otherwise;
    }

    /// <summary>To be called last: every member that nobody asked for is a fault, because it would be ignored.</summary>
    public void Finish()
    {
        foreach (var (name, node) in _node.Members)
        {
            if (!_known.Contains(name))
            {
                string near = _known.FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } known
                    ? $"did you mean {known}?"
                    : $"known here: {string.Join(", ", _known)}";
                _faults.Add(node, $"is no known key; {near}");
            }
        }
    }

    private bool TryChoice<T>(ConfigNode node, ReadOnlySpan<(string Text, T Value)> choices, out T chosen)
    {
        var texts = new List<string>();
        foreach (var (text, value) in choices)
        {
            if (node.Kind == ConfigNodeKind.Text && node.Text == text)
            {
                chosen = value;
                return true;
            }

            texts.Add($"\"{text}\"");
        }

        _faults.Add(node, $"{Show(node)} is none of {string.Join(", ", texts)}");
        chosen = default!;
        return false;
    }

    private T InBounds<T>(ConfigNode node, T value, T otherwise, T min, T max, Func<T, string> format) where T : IComparable<T>
    {
        if (value.CompareTo(min) >= 0 && value.CompareTo(max) <= 0)
        {
            return value;
        }

        _faults.Add(node, $"{Show(node)} is out of bounds; {format(min)} to {format(max)} is allowed");
        return otherwise;
    }

    private int Number(ConfigNode node, int otherwise, int min, int max)
    {
        if (node.Kind != ConfigNodeKind.Number || !long.TryParse(node.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
        {
            _faults.Add(node, $"{Show(node)} is no whole number");
            return otherwise;
        }

        return (int)InBounds(node, number, otherwise, min, max, value => value.ToString(CultureInfo.InvariantCulture));
    }

    private IReadOnlyList<ConfigNode> Items(string name) => Find(name, ConfigNodeKind.List, "a list")?.Items ?? [];

    private ConfigNode? Find(string name, ConfigNodeKind kind, string expected)
    {
        var node = Find(name);
        if (node is null || node.Kind == kind)
        {
            return node;
        }

        _faults.Add(node, $"{Show(node)} is not {expected}");
        return null;
    }

    private ConfigNode? Find(string name)
    {
        if (!_known.Contains(name))
        {
            _known.Add(name);
            _faults.LookedFor(new ConfigNode(ConfigNodeKind.Null, _node.MemberPath(name), 0).Key);
        }

        return _node.Members.TryGetValue(name, out var node) && node.Kind != ConfigNodeKind.Null ? node : null;
    }
}
