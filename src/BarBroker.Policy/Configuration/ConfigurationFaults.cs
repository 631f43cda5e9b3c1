// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>Collects what is wrong, so that all of it is told at once, and the keys that were looked for, so that a test can hold them against the documentation.</summary>
internal sealed class ConfigurationFaults
{
    private readonly List<ConfigurationFault> _faults = [];
    private readonly SortedSet<string> _keys = new(StringComparer.Ordinal);

    /// <summary>Every key that was looked for, as in <c>devices[].bars[].size</c>.</summary>
    public IReadOnlyCollection<string> Keys => _keys;

    public void Add(ConfigNode node, string message) => _faults.Add(new ConfigurationFault(node.Path, node.Line, message));

    public void Add(string path, long line, string message) => _faults.Add(new ConfigurationFault(path, line, message));

    public void LookedFor(string key) => _keys.Add(key);

    public void ThrowIfAny(string file)
    {
        if (_faults.Count > 0)
        {
            throw new ConfigurationException(file, [.. _faults]);
        }
    }
}
