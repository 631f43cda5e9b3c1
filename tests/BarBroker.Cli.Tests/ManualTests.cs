// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using System.Diagnostics;
using System.Text.RegularExpressions;
using BarBroker.Cli.Commands;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>The manual pages as scripts/man makes them for the package.</summary>
public sealed partial class ManualTests : TestBase
{
    [Fact]
    public async Task Pages_Readers_HaveNothingToComplainOf()
    {
        string directory = await MakeAsync();

        foreach (string page in Directory.GetFiles(directory))
        {
            Assert.Equal("", await RunAsync("mandoc", "-T", "lint", "-W", "warning", page));
            Assert.Equal("", await RunAsync("sh", "-c", $"MANROFFSEQ= man --warnings -E UTF-8 -l -Tutf8 -Z {page} 2>&1 >/dev/null"));
        }

        Assert.Equal(["barbrokerd.8", "barctl.1", "broker.json.5"], Directory.GetFiles(directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Barctl_EveryCommandAndOption_IsThere()
    {
        string page = Plain(await File.ReadAllTextAsync(Path.Combine(await MakeAsync(), "barctl.1"), Cancellation));

        Assert.All(Leaves(BarctlCommand.Create(), "barctl"), leaf =>
        {
            Assert.Contains($".SS \"{leaf.Path}", page, StringComparison.Ordinal);
            Assert.All(leaf.Command.Options.Where(static option => !option.Hidden), option => Assert.Contains($"\\fB{option.Name}\\fR", page, StringComparison.Ordinal));
            Assert.All(leaf.Command.Arguments, argument => Assert.Contains(argument.Description!, page, StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task BrokerJson_EveryKeyOfTheDocumentation_IsThere()
    {
        string page = Plain(await File.ReadAllTextAsync(Path.Combine(await MakeAsync(), "broker.json.5"), Cancellation));
        string documentation = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/configuration.md"), Cancellation);
        var keys = KeyPattern().Matches(documentation[documentation.IndexOf("\n| key |", StringComparison.Ordinal)..]).Select(static match => match.Groups[1].Value).ToArray();

        Assert.True(keys.Length > 40);
        Assert.All(keys, key => Assert.Contains($"\n.B {key}\n", page, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Barbrokerd_EveryOptionOfItsHelp_IsThere()
    {
        string page = Plain(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/man/barbrokerd.8"), Cancellation));
        string help = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "src/BarBroker/Hosting/BrokerCommand.cs"), Cancellation);

        Assert.All(OptionPattern().Matches(help).Select(static match => match.Groups[1].Value), option => Assert.Contains($"\\fB{option}\\fR", page, StringComparison.Ordinal));
    }

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) =>
        command.Subcommands.Count == 0 ? [(path, command)] : command.Subcommands.Where(static sub => !sub.Hidden).SelectMany(sub => Leaves(sub, $"{path} {sub.Name}"));

    private static string Plain(string page) => page.Replace("\\-", "-", StringComparison.Ordinal).Replace("\\(aq", "'", StringComparison.Ordinal);

    private async Task<string> MakeAsync()
    {
        string directory = Path.Combine(Own(new TestDirectory()).Path, "man");
        Assert.Equal("", await RunAsync(Path.Combine(Repository.Root, "scripts/man"), Barctl.Built, directory));
        return directory;
    }

    /// <summary>What it prints, which must have ended well.</summary>
    private static async Task<string> RunAsync(params string[] command)
    {
        using var process = Process.Start(ProgramStart.Of(command))!;
        var output = process.StandardOutput.ReadToEndAsync(Cancellation);
        var errors = process.StandardError.ReadToEndAsync(Cancellation);
        await Wait.For(process.WaitForExitAsync(Cancellation), $"{command[0]} ends", TimeSpan.FromSeconds(60));
        string text = await output + await errors;
        process.StandardOutput.Dispose();
        process.StandardError.Dispose();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', command)}: {process.ExitCode}\n{text}");
        return text;
    }

    [GeneratedRegex(@"^\| `([^`]+)` \|", RegexOptions.Multiline)]
    private static partial Regex KeyPattern();

    [GeneratedRegex("""<[\w?]+>\("(--[a-z-]+)"\)""")]
    private static partial Regex OptionPattern();
}
