// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Linux.Processes;

namespace BarBroker.Linux.Tests.Processes;

public sealed class ProcessNameTests
{
    [Fact]
    public void Of_LiveAndDeadProcess_IsItsNameAndThenNothing()
    {
        using var child = Process.Start("sleep", "600");
        Assert.Equal("sleep", ProcessName.Of(child.Id));

        child.Kill();
        child.WaitForExit();

        Assert.Equal("", ProcessName.Of(child.Id));
    }
}
