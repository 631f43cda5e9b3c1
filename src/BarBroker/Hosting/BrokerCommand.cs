// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Configuration;

namespace BarBroker.Hosting;

/// <summary>The daemon's command line.</summary>
internal static class BrokerCommand
{
    public static RootCommand Create(Func<string, string?, bool, int> run)
    {
        var config = new Option<string>("--config")
        {
            Description = "The configuration file.",
            DefaultValueFactory = _ => ConfigurationFile.DefaultPath,
            HelpName = "FILE",
        };
        var runtimeDirectory = new Option<string?>("--runtime-dir")
        {
            Description = "Where the sockets are, instead of where the configuration says; unless configured, the state goes to DIR/state.",
            HelpName = "DIR",
        };
        var check = new Option<bool>("--check") { Description = "Only check the configuration, and say what is wrong with it." };
        var root = new RootCommand("Leases ranges of PCI BARs to local programs, and takes them back.") { config, runtimeDirectory, check };
        root.SetAction(result => run(
            result.GetValue(config)!,
            result.GetValue(runtimeDirectory) is { } directory ? Path.GetFullPath(directory) : null,
            result.GetValue(check)));
        return root;
    }
}
