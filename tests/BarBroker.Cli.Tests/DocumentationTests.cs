// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using BarBroker.Cli.Commands;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>docs/barctl.md, and for what it refers to docs/policy.md, has every command and option.</summary>
public sealed class DocumentationTests
{
    private static readonly string _page = Text("barctl.md") + Text("policy.md");

    private static string Text(string name) => File.ReadAllText(Path.Combine(Repository.Root, "docs", name));

    [Fact]
    public void Page_EveryCommandAndOption_IsThere()
    {
        Assert.All(Leaves(BarctlCommand.Create(), ""), leaf =>
        {
            Assert.Contains($"`{(leaf.Path.StartsWith("completion ", StringComparison.Ordinal) ? "completion" : leaf.Path)}", _page, StringComparison.Ordinal);
            Assert.All(leaf.Command.Options.Where(static option => !option.Hidden && option.Name != "--help"), option => Assert.Contains(option.Name, _page, StringComparison.Ordinal));
        });
    }

    [Fact]
    public void Commands_EveryOptionAndArgument_IsExplained() => Assert.All(Leaves(BarctlCommand.Create(), ""), static leaf =>
    {
        Assert.False(string.IsNullOrEmpty(leaf.Command.Description), leaf.Path);
        Assert.All(leaf.Command.Options, option => Assert.False(string.IsNullOrEmpty(option.Description), $"{leaf.Path} {option.Name}"));
        Assert.All(leaf.Command.Arguments, argument => Assert.False(string.IsNullOrEmpty(argument.Description), $"{leaf.Path} {argument.Name}"));
    });

    /// <summary>The commands that do something, each with the words that name it.</summary>
    internal static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) => command.Subcommands.Count == 0
        ? [(path, command)]
        : command.Subcommands.Where(static sub => !sub.Hidden).SelectMany(sub => Leaves(sub, path.Length > 0 ? $"{path} {sub.Name}" : sub.Name));
}
