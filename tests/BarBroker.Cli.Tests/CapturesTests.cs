// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Cli.Commands;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>docs/captures is what the commands print today, and has every command.</summary>
public sealed class CapturesTests : TestBase
{
    /// <summary>It starts barctl some eighty times.</summary>
    private static readonly TimeSpan _limit = TimeSpan.FromMinutes(15);

    private static readonly string _kept = Path.Combine(Repository.Root, "docs/captures");

    [Fact]
    public async Task Captures_MadeAgain_AreTheSame()
    {
        using var directory = new TestDirectory();
        var start = ProgramStart.Of([Path.Combine(Repository.Root, "scripts/captures"), directory.File("captures")]);
        start.Environment["BARCTL"] = Barctl.Built;
        start.Environment["BARBROKERD"] = Path.Combine(Path.GetDirectoryName(Barctl.Built)!, "../../BarBroker", Path.GetFileName(Path.GetDirectoryName(Barctl.Built)!), "barbrokerd");
        using var script = Process.Start(start)!;
        using var printed = script.StandardOutput;
        using var told = script.StandardError;
        var output = printed.ReadToEndAsync(Cancellation);
        var errors = told.ReadToEndAsync(Cancellation);
        await Wait.For(script.WaitForExitAsync(Cancellation), "scripts/captures ends", _limit);
        Assert.True(script.ExitCode == 0, await errors + await output);

        Assert.Equal(Names(_kept), Names(directory.File("captures")));
        Assert.All(Names(_kept), name => Assert.Equal(File.ReadAllText(Path.Combine(_kept, name)), File.ReadAllText(Path.Combine(directory.File("captures"), name))));
    }

    [Fact]
    public void Captures_EveryCommand_IsThere()
    {
        string all = string.Concat(Names(_kept).Select(static name => File.ReadAllText(Path.Combine(_kept, name))));

        Assert.All(DocumentationTests.Leaves(BarctlCommand.Create(), ""), leaf => Assert.Matches($@"(?m)^\$ barctl (-o \w+ )?{leaf.Path}\b", all));
    }

    [Fact]
    public void Index_EveryFile_IsThere()
    {
        string index = File.ReadAllText(Path.Combine(_kept, "README.md"));

        Assert.All(Names(_kept), name => Assert.Contains($"({name})", index, StringComparison.Ordinal));
    }

    private static string[] Names(string directory) => [.. Directory.GetFiles(directory, "*.txt").Select(static file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
}
