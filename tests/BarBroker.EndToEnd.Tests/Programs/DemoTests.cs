// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Programs;

/// <summary>make demo, as somebody runs it who has just cloned the repository: an ordinary user, with a home directory that is empty.</summary>
public sealed class DemoTests : TestBase
{
    private static readonly TimeSpan BuildAndRun = TimeSpan.FromMinutes(15);

    [Fact]
    public async Task Demo_FromACloneByAnOrdinaryUser_ShowsWhatItPromisesAndLeavesNothing()
    {
        Assert.SkipUnless(File.Exists(Path.Combine(Repository.Root, "scripts", "demo")), "scripts/demo is not there yet");
        using var directory = new TestDirectory();
        string clone = directory.File("clone"), home = directory.File("home"), temporary = directory.File("tmp");
        Directory.CreateDirectory(home);
        Directory.CreateDirectory(temporary);
        await Tool.RunAsync("git", "clone", "-q", "--no-hardlinks", Repository.Root, clone);
        await ConfigurePackagesAsync(directory, home);
        string[] launcher = [];
        if (Users.EffectiveUid == 0)
        {
            await Tool.RunAsync("chown", "-R", "65534:65534", directory.Path);
            launcher = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
        }

        using var demo = Tool.Start(
            [.. launcher, Path.Combine(clone, "scripts", "demo")],
            clone,
            ("HOME", home), ("TMPDIR", temporary), ("DOTNET_CLI_HOME", home), ("NUGET_PACKAGES", Path.Combine(home, "packages")),
            ("MSBUILDDISABLENODEREUSE", "1"), ("UseSharedCompilation", "false"));
        int status = await demo.WaitAsync(BuildAndRun);

        Assert.True(status == 0, demo.Output);
        foreach (string promise in new[] { "SIGSTOP", "SIGBUS", "EXPIRED", "operator", "barbroker_lease_ends" })
        {
            Assert.True(demo.Output.Contains(promise, StringComparison.OrdinalIgnoreCase), $"the demo says nothing of {promise}:\n{demo.Output}");
        }

        Assert.Empty(ProcessesOf(directory.Path));
        Assert.DoesNotContain(Directory.GetFileSystemEntries(temporary), entry => Path.GetFileName(entry).StartsWith("barbroker", StringComparison.Ordinal));
    }

    /// <summary>The packages that this machine has already are the source that the other user restores his own from; the tests' build has fetched all of them.</summary>
    private static async Task ConfigurePackagesAsync(TestDirectory directory, string home)
    {
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        Assert.SkipUnless(Directory.Exists(packages), $"{packages} is not there, and with it the packages for another user's build");

        // The packed form only: what is unpacked from it belongs to the other user.
        string source = Directory.CreateDirectory(directory.File("packages")).FullName;
        foreach (string package in Directory.GetFiles(packages, "*.nupkg", SearchOption.AllDirectories))
        {
            File.Copy(package, Path.Combine(source, Path.GetFileName(package)));
        }

        string configuration = Path.Combine(home, ".nuget", "NuGet");
        Directory.CreateDirectory(configuration);
        await File.WriteAllTextAsync(
            Path.Combine(configuration, "NuGet.Config"),
            $"""<configuration><packageSources><clear /><add key="here" value="{source}" /></packageSources></configuration>""",
            Cancellation);
    }

    private static List<string> ProcessesOf(string directory)
    {
        var found = new List<string>();
        foreach (string process in Directory.GetDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])))
        {
            try
            {
                string line = File.ReadAllText(Path.Combine(process, "cmdline")).Replace('\0', ' ');
                if (line.Contains(directory, StringComparison.Ordinal))
                {
                    found.Add($"{Path.GetFileName(process)}: {line}");
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Gone meanwhile.
            }
        }

        return found;
    }
}
