// SPDX-License-Identifier: Apache-2.0

using System.Text;

namespace BarBroker.Configuration;

/// <summary>A value of the configuration file and where it stands in it.</summary>
internal sealed class ConfigNode(ConfigNodeKind kind, string path, long line)
{
    private readonly Dictionary<string, ConfigNode> _members = new(StringComparer.Ordinal);
    private readonly List<ConfigNode> _items = [];

    public ConfigNodeKind Kind { get; } = kind;

    /// <summary>Such as <c>devices[0].bars[1].size</c>; empty for the whole file.</summary>
    public string Path { get; } = path;

    /// <summary>From 1; 0 for what is not in the file.</summary>
    public long Line { get; } = line;

    /// <summary>As it is written in the file, without the quotes of a string.</summary>
    public string Text { get; init; } = "";

    public IReadOnlyDictionary<string, ConfigNode> Members => _members;

    public IReadOnlyList<ConfigNode> Items => _items;

    /// <summary>The path with every index left out: <c>devices[].bars[].size</c>.</summary>
    public string Key
    {
        get
        {
            var key = new StringBuilder(Path.Length);
            bool inIndex = false;
            foreach (char c in Path)
            {
                inIndex = inIndex ? c != ']' : c == '[';
                if (!inIndex || c == '[')
                {
                    key.Append(c);
                }
            }

            return key.ToString();
        }
    }

    public string MemberPath(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    public bool TryAdd(string name, ConfigNode member) => _members.TryAdd(name, member);

    public void Add(ConfigNode item) => _items.Add(item);
}
