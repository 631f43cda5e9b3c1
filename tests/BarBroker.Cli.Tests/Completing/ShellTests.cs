// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests.Completing;

/// <summary>The scripts in the shells that they are for, with ids of a broker that runs.</summary>
public sealed class ShellTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    [Fact]
    public async Task Bash_LeaseShow_LiveIds()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        Assert.Equal([Id(lease)], await BashAsync("barctl", "lease", "show", ""));
        Assert.Equal(["revoke"], await BashAsync("barctl", "lease", "rev"));
        Assert.Equal(["sim0"], await BashAsync("barctl", "lease", "list", "--device", ""));
        Assert.Equal(["json", "jsonl"], await BashAsync("barctl", "--output", "=", "js"));
    }

    [Fact]
    public async Task Fish_LeaseShow_LiveIdsWithWhatTheyAre()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        string[] found = await ShellAsync("fish", "--no-config", "-c", $"source (barctl completion fish | psub); complete -C 'barctl lease show '");
        Assert.Contains(found, line => line.StartsWith($"{Id(lease)}\tactive on sim0", StringComparison.Ordinal));
        Assert.Contains(await ShellAsync("fish", "--no-config", "-c", "source (barctl completion fish | psub); complete -C 'barctl lease sh'"), static line => line.StartsWith("show\t", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Zsh_LeaseShow_LiveIdsWithWhatTheyAre()
    {
        var (_, lease) = await HoldAsync("-s", "4096");

        // The functions that the completion system would call are replaced by ones that print.
        const string script = """
            compdef() { : }
            _describe() { print -l "${(@P)2}" }
            eval "$(barctl completion zsh)"
            words=(barctl lease show '') CURRENT=4
            _barctl
            """;
        Assert.Contains(await ShellAsync("zsh", "-f", "-c", script), line => line.StartsWith($"{Id(lease)}:active on sim0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Complete_NoBroker_SilentAndDone()
    {
        var directory = Own(new TestDirectory());

        var result = await Barctl.RunAsync(directory.Path, "__complete", "lease", "show", "");

        Assert.Equal((0, "", ""), (result.Status, result.Output, result.Errors));
    }

    private Task<string[]> BashAsync(params string[] words)
    {
        string line = string.Join(' ', words.Select(static word => $"'{word}'"));
        return ShellAsync("bash", "--norc", "-c", $$"""source <(barctl completion bash); COMP_WORDS=({{line}}); COMP_CWORD={{words.Length - 1}}; _barctl; printf '%s\n' "${COMPREPLY[@]}" """);
    }

    private async Task<string[]> ShellAsync(string shell, params string[] arguments)
    {
        Assert.SkipUnless(File.Exists($"/usr/bin/{shell}"), $"there is no /usr/bin/{shell}: apt-get install {shell}");
        var start = ProgramStart.Of([$"/usr/bin/{shell}", .. arguments]);
        start.Environment["BARBROKER_RUNTIME_DIR"] = Broker.RuntimeDirectory;
        start.Environment["PATH"] = $"{Path.GetDirectoryName(Barctl.Built)}:/usr/bin:/bin";
        start.Environment["HOME"] = Own(new TestDirectory()).Path;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(Cancellation);
        var errors = process.StandardError.ReadToEndAsync(Cancellation);
        await Wait.For(process.WaitForExitAsync(Cancellation), $"{shell} ends", TimeSpan.FromSeconds(60));
        Assert.Equal("", await errors);
        string[] lines = (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.StandardOutput.Dispose();
        process.StandardError.Dispose();
        return lines;
    }
}
