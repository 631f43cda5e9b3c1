// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Configuration;

namespace BarBroker.Cli.Commands;

/// <summary>What `device bind` and `device unbind` both take.</summary>
internal sealed class BindingOptions(string persistence)
{
    private readonly Argument<string[]> _devices = new("device")
    {
        Description = "PCI addresses, such as 0000:01:00.0 or 01:00.0, or names in the broker's configuration",
        HelpName = "ADDRESS|NAME",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<bool> _persist = new("--persist") { Description = persistence };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Change nothing; say what would be done, or why not" };

    private readonly Option<string> _configuration = new("--config")
    {
        Description = $"Where names are looked up [default: {ConfigurationFile.DefaultPath}]",
        HelpName = "FILE",
        DefaultValueFactory = static _ => ConfigurationFile.DefaultPath,
    };

    public void AddTo(Command command)
    {
        command.Add(_devices);
        command.Add(_persist);
        command.Add(_dryRun);
        command.Add(_configuration);
    }

    public string[] Names(ParseResult parsed) => parsed.GetRequiredValue(_devices);

    public bool IsPersistent(ParseResult parsed) => parsed.GetValue(_persist);

    public bool IsDryRun(ParseResult parsed) => parsed.GetValue(_dryRun);

    public string Configuration(ParseResult parsed) => parsed.GetRequiredValue(_configuration);
}
