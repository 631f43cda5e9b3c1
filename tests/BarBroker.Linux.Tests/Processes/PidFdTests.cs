// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux.Events;
using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Processes;

public sealed class PidFdTests
{
    private const int SigKill = 9;

    [Fact]
    public void GetIdentity_TwoPidFdsOfOneProcess_AreEqual()
    {
        using var first = PidFd.Open(Environment.ProcessId);
        using var second = PidFd.Open(Environment.ProcessId);

        Assert.Equal(first.GetIdentity(), second.GetIdentity());
    }

    [Fact]
    public void GetIdentity_TwoProcesses_Differ()
    {
        using var child = Sleep();
        using var itself = PidFd.Open(Environment.ProcessId);
        using var other = PidFd.Open(child.Id);

        Assert.NotEqual(itself.GetIdentity(), other.GetIdentity());
        other.SendSignal(SigKill);
        child.WaitForExit();
    }

    [Fact]
    public void ReadStartTime_AsBeforeLinux69_TellsProcessesApartUntilTheyExit()
    {
        using var child = Sleep();
        using var first = PidFd.Open(child.Id);
        using var second = PidFd.Open(child.Id);
        using var itself = PidFd.Open(Environment.ProcessId);

        Assert.Equal(first.ReadStartTime(), second.ReadStartTime());
        Assert.NotEqual(first.ReadStartTime(), itself.ReadStartTime());
        first.SendSignal(SigKill);
        child.WaitForExit();
        Assert.Equal(Errno.ESRCH, Assert.Throws<LinuxException>(() => first.ReadStartTime()).Errno);
    }

    [Fact]
    public void GetIdentity_ProcessExited_StaysTheSame()
    {
        using var child = Sleep();
        using var process = PidFd.Open(child.Id);
        var identity = process.GetIdentity();
        process.SendSignal(SigKill);
        child.WaitForExit();

        if (identity.Pid != 0)
        {
            Assert.Skip("before Linux 6.9 an exited process has no identity any more");
        }

        Assert.Equal(identity, process.GetIdentity());
    }

    [Fact]
    public async Task HasExited_ProcessKilled_IsSeenByEpoll()
    {
        using var child = Sleep();
        using var process = PidFd.Open(child.Id);
        using var epoll = new Epoll();
        epoll.AddOnce(process, 7);
        Assert.False(process.HasExited());
        var keys = new ulong[4];
        var waiting = Task.Run(() => epoll.Wait(keys), TestContext.Current.CancellationToken);

        process.SendSignal(SigKill);

        Assert.Equal(1, await waiting.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        Assert.Equal(7ul, keys[0]);
        Assert.True(process.HasExited());
        child.WaitForExit();
    }

    [Fact]
    public void Open_ReapedProcess_IsEsrch()
    {
        int pid;
        using (var child = Process.Start("true"))
        {
            child.WaitForExit();
            pid = child.Id;
        }

        Assert.Equal(Errno.ESRCH, Assert.Throws<LinuxException>(() => PidFd.Open(pid)).Errno);
    }

    [Fact]
    public void ReadExecutable_Itself_IsItsPath()
    {
        using var itself = PidFd.Open(Environment.ProcessId);

        Assert.Equal(Environment.ProcessPath, itself.ReadExecutable());
    }

    [Fact]
    public void ReadExecutable_ReplacedOnDisk_IsNotTold()
    {
        using var directory = new TestDirectory();
        string copy = directory.File("sleep");
        File.Copy("/usr/bin/sleep", copy);
        using var child = Process.Start(copy, "600");
        using var process = PidFd.Open(child.Id);
        Assert.Equal(copy, process.ReadExecutable());

        File.Move(Copy("/usr/bin/true", directory.File("true")), copy, overwrite: true);

        Assert.Null(process.ReadExecutable());
        process.SendSignal(SigKill);
        child.WaitForExit();
        Assert.Null(process.ReadExecutable());
        Assert.Null(process.ReadCgroup());
    }

    [Fact]
    public void ReadCgroup_Itself_IsAsProcSays()
    {
        using var itself = PidFd.Open(Environment.ProcessId);
        string? expected = File.ReadLines("/proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal))?[3..];

        Assert.Equal(expected, itself.ReadCgroup());
    }

    private static string Copy(string from, string to)
    {
        File.Copy(from, to);
        return to;
    }

    private static Process Sleep() => Process.Start("sleep", "600");
}
