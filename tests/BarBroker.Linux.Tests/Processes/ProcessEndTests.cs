// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Processes;

public sealed class ProcessEndTests : IDisposable
{
    private const string None = "0000000000000000";
    private const string SigKill = "0000000000000100";
    private const string SigTerm = "0000000000004000";

    private readonly TestDirectory _proc = new();

    [Fact]
    public void IsEnding_ThisProcess_False() => Assert.False(ProcessEnd.IsEnding(Environment.ProcessId));

    [Fact]
    public void IsEnding_NoSuchProcess_False() => Assert.False(ProcessEnd.IsEnding(4_000_000));

    [Theory]
    [InlineData(true, "Z", None, "D", SigKill)]
    [InlineData(true, "D", SigKill, "D", SigKill)]
    [InlineData(false, "Z", None, "D", None)]
    [InlineData(false, "Z", None, "R", SigTerm)]
    [InlineData(false, "D", SigKill, "S", None)]
    public void IsEnding_Threads_OnlyIfNoneRunsCodeAgain(bool ending, string firstState, string firstPending, string secondState, string secondPending)
    {
        Thread(42, firstState, firstPending);
        Thread(43, secondState, secondPending);

        Assert.Equal(ending, ProcessEnd.IsEnding(42, _proc.Path));
        Assert.Equal(ending || firstState == "Z" || firstPending == SigKill, ProcessEnd.HasBegun(42, _proc.Path));
    }

    public void Dispose() => _proc.Dispose();

    private void Thread(int id, string state, string pending)
    {
        string directory = Path.Combine(_proc.Path, "42", "task", $"{id}");
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "status"), $"Name:\tbarbrokerd\nState:\t{state} (word)\nSigQ:\t0/100\nSigPnd:\t{pending}\nShdPnd:\t{None}\n");
    }
}
