// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace BarBroker.Configuration;

/// <summary>A configuration that cannot be used. Its message is a page with every fault, for a person to read.</summary>
internal sealed class ConfigurationException(string file, ImmutableArray<ConfigurationFault> faults) : Exception(Page(file, faults))
{
    public ImmutableArray<ConfigurationFault> Faults { get; } = faults;

    private static string Page(string file, ImmutableArray<ConfigurationFault> faults)
    {
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture, $"{file}: {(faults.Length == 1 ? "1 fault" : $"{faults.Length} faults")}\n\n");
        foreach (var fault in faults.OrderBy(fault => fault.Line))
        {
            page.Append(fault.Line > 0 ? string.Create(CultureInfo.InvariantCulture, $"  line {fault.Line,-4} ") : "  ");
            page.Append(fault.Path.Length > 0 ? $"{fault.Path}: " : "").Append(fault.Message).Append('\n');
        }

        return page.Append("\nEvery key is explained in docs/configuration.md; deploy/broker.json is an example.").ToString();
    }
}
