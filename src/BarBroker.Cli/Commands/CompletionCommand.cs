// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Completing;

namespace BarBroker.Cli.Commands;

internal static class CompletionCommand
{
    public static Command Create() => new("completion", "Print a script that completes barctl's command lines, with live ids")
    {
        Shell("bash", ShellScripts.Bash, "for bash: barctl completion bash > /etc/bash_completion.d/barctl"),
        Shell("zsh", ShellScripts.Zsh, "for zsh: barctl completion zsh > /usr/local/share/zsh/site-functions/_barctl"),
        Shell("fish", ShellScripts.Fish, "for fish: barctl completion fish > ~/.config/fish/completions/barctl.fish"),
    };

    private static Command Shell(string name, string script, string description)
    {
        var command = new Command(name, $"The script {description}");
        command.SetAction(_ => Console.Out.WriteLine(script));
        return command;
    }
}
