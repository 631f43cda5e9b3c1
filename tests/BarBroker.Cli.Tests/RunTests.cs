// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

public sealed class RunTests(BrokerFixture fixture) : CliTestBase(fixture)
{
    private const int SigInt = 2;
    private const int SigUsr1 = 10;
    private const int SigTerm = 15;

    [Fact]
    public async Task Run_Command_HasTheLeaseInItsEnvironment()
    {
        var result = await RunAsync("run", "-d", "sim0", "--buffer", "0:0x4000+0x1000,0x0+0x2000", "--buffer", "2:64KiB", "--", "env");

        Assert.Equal(0, result.Status);
        var variables = result.Lines.Where(line => line.StartsWith("BARBROKER_", StringComparison.Ordinal)).Select(line => line.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.Equal(("sim0", "2"), (variables["BARBROKER_DEVICE"], variables["BARBROKER_BUFFERS"]));
        Assert.Equal(("12288", "0", "0x4000+0x1000,0x0+0x2000"), (variables["BARBROKER_SIZE_0"], variables["BARBROKER_BAR_0"], variables["BARBROKER_RANGES_0"]));
        Assert.Equal(("65536", "2"), (variables["BARBROKER_SIZE_1"], variables["BARBROKER_BAR_1"]));
        var lease = await LeaseAsync(variables["BARBROKER_LEASE"]);
        Assert.Equal(("ended", "released"), (Text(lease, "state"), Text(lease, "end_reason")));
        Assert.Equal(variables["BARBROKER_EPOCH"], lease.GetProperty("epoch").GetUInt64().ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Run_Command_HasItsStreamsTheBuffersAndNothingElse()
    {
        // The shell lists its own descriptors with builtins only; what the list itself needs is not there any more when it is looked at.
        const string Script = "for fd in /proc/$$/fd/*; do n=${fd##*/}; if [ -e \"$fd\" ] || [ -L \"$fd\" ]; then echo \"$n $(readlink $fd)\"; fi; done; echo fds $BARBROKER_FD_0 $BARBROKER_FD_1";

        var result = await RunAsync("run", "-d", "sim0", "--buffer", "0:4096", "--buffer", "2:4096", "--", "sh", "-c", Script);

        Assert.Equal(0, result.Status);
        // What the tests themselves inherited and pass on is not barctl's.
        var (_, plain) = NativeProgram.Run("sh", "-c", Script);
        var others = plain.Split('\n', StringSplitOptions.RemoveEmptyEntries)[..^1].Select(line => line.Split(' ')[0]);
        string[] buffers = result.Lines[^1].Split(' ')[1..];
        var seen = result.Lines[..^1].Select(line => line.Split(' ', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert.Equal(buffers.Concat(others).Order(), seen.Keys.Order());
        Assert.All(buffers, fd => Assert.Contains("memfd:barbroker:sim0", seen[fd], StringComparison.Ordinal));
    }

    [Fact]
    public async Task Run_Command_CanUseTheMemory()
    {
        string program = NativeProgram.Compile(
            """
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <sys/mman.h>
            int main(void)
            {
                char *memory = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(getenv("BARBROKER_FD_0")), 0);
                if (memory == MAP_FAILED)
                    return perror("mmap"), 1;
                strcpy(memory + 4090, "across");
                return puts(memory + 4090) < 0;
            }
            """,
            "run-maps");

        var result = await RunAsync("run", "-d", "sim0", "-s", "8KiB", "--", program);

        Assert.Equal((0, "across\n"), (result.Status, result.Output));
    }

    [Theory]
    [InlineData("exit 0", 0)]
    [InlineData("exit 42", 42)]
    [InlineData("kill -KILL $$", 137)]
    [InlineData("kill -TERM $$", 143)]
    public async Task Run_Command_PassesItsStatusOn(string script, int status)
    {
        Assert.Equal(status, (await RunAsync("run", "-d", "sim0", "-s", "4096", "--", "sh", "-c", script)).Status);
        Assert.Empty(await LeasesAsync());
    }

    [Theory]
    [InlineData("/nonexistent/command", 127)]
    [InlineData("/etc/passwd", 126)]
    public async Task Run_CommandThatCannotStart_SaysSoLikeAShell(string command, int status)
    {
        var result = await RunAsync("run", "-d", "sim0", "-s", "4096", "--", command);

        Assert.Equal((status, ""), (result.Status, result.Output));
        Assert.Contains(command, result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ArgumentsOfTheCommand_AreLeftAlone()
    {
        string[] arguments = ["--help", "-o", "@file", "[diagram]", "--", "two words", "", "-s"];

        var result = await RunAsync(["run", "-d", "sim0", "-s", "4096", "--", "printf", "<%s>", .. arguments]);

        Assert.Equal(string.Concat(arguments.Select(argument => $"<{argument}>")), result.Output);
    }

    [Theory]
    [InlineData(SigTerm, "TERM")]
    [InlineData(SigInt, "INT")]
    [InlineData(SigUsr1, "USR1")]
    public async Task Run_Signal_IsForwarded(int signal, string name)
    {
        using var directory = new TestDirectory();
        string ready = directory.File("ready");
        var barctl = Start("run", "-d", "sim0", "-s", "4096", "--", "sh", "-c", $"trap 'echo got {name}; exit 9' {name}; touch {ready}; while :; do sleep 0.05; done");
        await Wait.Until(() => File.Exists(ready), "the command is ready");

        barctl.Signal(signal);

        var result = await barctl.WaitAsync();
        Assert.Equal((9, $"got {name}\n"), (result.Status, result.Output));
    }

    [Fact]
    public async Task Run_LeaseIsLost_TheCommandIsTerminatedAndItIsSaid()
    {
        var barctl = Start("run", "-d", "sim0", "-s", "4096", "--", "sleep", "1000");
        string id = await ActiveLeaseAsync();

        await RunAsync("lease", "revoke", id);

        var result = await barctl.WaitAsync();
        Assert.Equal(128 + SigTerm, result.Status);
        Assert.Contains($"lease {id} on sim0 is lost: operator", result.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_LeaseIsLost_ACommandThatIgnoresSigtermIsKilled()
    {
        using var directory = new TestDirectory();
        string ready = directory.File("ready");
        var barctl = Start("run", "-d", "sim0", "-s", "4096", "--kill-after", "100ms", "--", "sh", "-c", $"trap '' TERM; touch {ready}; while :; do sleep 0.05; done");
        await Wait.Until(() => File.Exists(ready), "the command is ready");

        await RunAsync("lease", "revoke", await ActiveLeaseAsync());

        Assert.Equal(137, (await barctl.WaitAsync()).Status);
    }

    [Fact]
    public async Task Run_LeaseIsLostAndIgnored_TheCommandGoesOn()
    {
        using var directory = new TestDirectory();
        string go = directory.File("go");
        var barctl = Start("run", "-d", "sim0", "-s", "4096", "--on-lost", "ignore", "--", "sh", "-c", "while [ ! -e \"$0\" ]; do sleep 0.05; done; exit 3", go);
        await RunAsync("lease", "revoke", await ActiveLeaseAsync());

        await File.WriteAllTextAsync(go, "", Cancellation);

        Assert.Equal(3, (await barctl.WaitAsync()).Status);
    }

    [Fact]
    public async Task Run_LongerThanTheTtl_KeepsTheLease()
    {
        var result = await RunAsync("run", "-d", "sim0", "-s", "4096", "--ttl", "1s", "--", "sleep", "3");

        Assert.Equal((0, ""), (result.Status, result.Errors));
    }

    [Fact]
    public async Task Run_BarctlIsKilled_TheCommandAndTheLeaseEnd()
    {
        using var directory = new TestDirectory();
        string ready = directory.File("pid");
        var barctl = Start("run", "-d", "sim0", "-s", "4096", "--", "sh", "-c", $"echo $$ > {ready}.new; mv {ready}.new {ready}; exec sleep 1000");
        await Wait.Until(() => File.Exists(ready), "the command is ready");
        string pid = (await File.ReadAllTextAsync(ready, Cancellation)).Trim();
        string id = await ActiveLeaseAsync();

        barctl.Signal(9);

        await WaitForStateAsync(id, "ended");
        Assert.Equal("client_exited", Text(await LeaseAsync(id), "end_reason"));
        await Wait.Until(() => !IsRunning(pid), "the command ended with barctl");
    }

    [Fact]
    public async Task Acquire_Sigterm_ReleasesTheLease()
    {
        var (holder, lease) = await HoldAsync("-s", "4096");

        holder.Signal(SigTerm);

        var result = await holder.WaitAsync();
        Assert.Equal(0, result.Status);
        Assert.Contains(Id(lease), result.Output, StringComparison.Ordinal);
        Assert.Equal("released", Text(await LeaseAsync(Id(lease)), "end_reason"));
    }

    private static bool IsRunning(string pid)
    {
        try
        {
            // A zombie has ended, whether or not somebody reaps it here.
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2] != 'Z';
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or IOException)
        {
            return false;
        }
    }

    private async Task<string> ActiveLeaseAsync()
    {
        string id = "";
        await Wait.Until(
            async () => (await LeasesAsync()).FirstOrDefault(lease => Text(lease, "state") == "active") is { ValueKind: System.Text.Json.JsonValueKind.Object } lease && (id = Id(lease)).Length > 0,
            "barctl run has its lease");
        return id;
    }
}
