// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Processes;

public sealed class ProcessEndTests : IDisposable
{
    private const int SigKill = 0x100;
    private const int SigTerm = 0x4000;

    /// <summary>PF_EXITING, PF_FORKNOEXEC, PF_RANDOMIZE.</summary>
    private const int Exiting = 0x4 | 0x40 | 0x400000;

    private readonly TestDirectory _proc = new();

    [Fact]
    public void IsEnding_ThisProcess_False() => Assert.False(ProcessEnd.IsEnding(Environment.ProcessId));

    [Fact]
    public void IsEnding_NoSuchProcess_False() => Assert.False(ProcessEnd.IsEnding(4_000_000));

    [Theory]
    [InlineData(true, "Z", 0, 0, "D", 0, SigKill)]
    [InlineData(true, "Z", 0, 0, "D", Exiting, 0)]
    [InlineData(true, "D", 0, SigKill, "D", 0, SigKill)]
    [InlineData(false, "Z", 0, 0, "D", 0x400040, 0)]
    [InlineData(false, "Z", 0, 0, "R", 0, SigTerm)]
    [InlineData(false, "D", 0, SigKill, "S", 0, 0)]
    public void IsEnding_Threads_OnlyIfNoneRunsCodeAgain(bool ending, string firstState, int firstFlags, int firstPending, string secondState, int secondFlags, int secondPending)
    {
        Thread(42, firstState, firstFlags, firstPending);
        Thread(43, secondState, secondFlags, secondPending);

        Assert.Equal(ending, ProcessEnd.IsEnding(42, _proc.Path));
        Assert.True(ProcessEnd.HasBegun(42, _proc.Path));
    }

    [Fact]
    public void HasBegun_ThreadsThatRun_False()
    {
        Thread(42, "S", 0x400040, SigTerm);
        Thread(43, "D", 0x400040, 0);

        Assert.False(ProcessEnd.HasBegun(42, _proc.Path));
    }

    [Fact]
    public void Kept_Processes_OnlyThoseThatEndAndCannot()
    {
        Thread(42, "Z", 0, 0);
        Thread(43, "D", Exiting, 0);
        Thread(50, "Z", 0, 0, process: 50);
        Thread(60, "D", 0x400040, 0, process: 60);
        Directory.CreateDirectory(Path.Combine(_proc.Path, "sys"));

        Assert.Equal([42], ProcessEnd.Kept(_proc.Path));
    }

    public void Dispose() => _proc.Dispose();

    private void Thread(int id, string state, int flags, int pending, int process = 42)
    {
        string directory = Path.Combine(_proc.Path, $"{process}", "task", $"{id}");
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "stat"), $"{id} (a name) Z 4) {state} 1 42 42 0 -1 {flags} {string.Join(' ', Enumerable.Repeat(0, 21))} {pending} 0 4096 0\n");
    }
}
