// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux.Interop;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;
using BarBroker.Testing;
using Mono.Unix.Native;

namespace BarBroker.Linux.Tests.ServiceManager;

[Collection(typeof(Alone))]
public sealed class ActivatedDescriptorsTests : TestBase
{
    /// <summary>Numbers that nothing in this process gets by itself.</summary>
    private const int First = 700;

    private static string Self => Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    [Fact]
    public void Claim_ByName_GivesEachOnceInOrder()
    {
        Pass(1, 2, 3);
        using var passed = ActivatedDescriptors.Take(Self, "3", "a:b:a", First);

        var claimed = passed.Claim("a");

        Assert.Equal([1ul, 3ul], claimed.Select(file => file.GetSize()));
        Assert.Empty(passed.Claim("a"));
        Assert.Equal(["b"], passed.Unclaimed);
        Assert.All(claimed, file => file.Dispose());
    }

    [Fact]
    public void Claim_ByPredicate_TellsTheNames()
    {
        Pass(1, 2, 3);
        using var passed = ActivatedDescriptors.Take(Self, "3", "lease.1:broker:lease.2", First);

        var claimed = passed.Claim(name => name.StartsWith("lease.", StringComparison.Ordinal));

        Assert.Equal([("lease.1", 1ul), ("lease.2", 3ul)], claimed.Select(file => (file.Name, file.File.GetSize())));
        Assert.All(claimed, file => file.File.Dispose());
    }

    [Fact]
    public void Take_WithoutNames_AllAreUnknown()
    {
        Pass(1, 2);
        using var passed = ActivatedDescriptors.Take(Self, "2", null, First);

        Assert.Equal(["unknown", "unknown"], passed.Unclaimed);
    }

    [Fact]
    public void Take_All_AreCloseOnExec()
    {
        Pass(1);
        using var passed = ActivatedDescriptors.Take(Self, "1", "a", First);

        Assert.Equal(Constants.FD_CLOEXEC, Libc.Fcntl(First, Constants.F_GETFD, 0));
    }

    [Fact]
    public void Dispose_Unclaimed_IsClosedAndClaimedIsNot()
    {
        Pass(1, 2);
        var passed = ActivatedDescriptors.Take(Self, "2", "a:b", First);
        using var claimed = Assert.Single(passed.Claim("a"));

        passed.Dispose();

        Assert.Equal(1ul, claimed.GetSize());
        Assert.True(Libc.Fcntl(First + 1, Constants.F_GETFD, 0) < 0, "it is open still");
    }

    [Theory]
    [InlineData(null, "1")]
    [InlineData("1", "1")]
    public void Take_MeantForAnotherProcess_TakesNothing(string? pid, string count)
    {
        Pass(1);
        using (var passed = ActivatedDescriptors.Take(pid, count, "a", First))
        {
            Assert.Empty(passed.Unclaimed);
        }

        AssertOpen(First);
    }

    [Fact]
    public void Take_NothingSaid_TakesNothing()
    {
        using var passed = ActivatedDescriptors.Take(Self, null, null, First);

        Assert.Empty(passed.Unclaimed);
    }

    [Theory]
    [InlineData("many", null)]
    [InlineData("-1", null)]
    [InlineData("2", "a")]
    [InlineData("1", "a:b")]
    public void Take_Nonsense_ThrowsAndClosesNothing(string count, string? names)
    {
        Pass(1);

        Assert.Throws<FormatException>(() => ActivatedDescriptors.Take(Self, count, names, First));
        AssertOpen(First);
    }

    [Fact]
    public void Take_NumberThatIsNotOpen_ThrowsAndClosesNothing()
    {
        Pass(1);

        var exception = Assert.Throws<LinuxException>(() => ActivatedDescriptors.Take(Self, "2", "a:b", First));

        Assert.Equal(Errno.EBADF, exception.Errno);
        AssertOpen(First);
    }

    /// <summary>And closes it.</summary>
    private static void AssertOpen(int fd) => Assert.Equal(0, Syscall.close(fd));

    /// <summary>Opens files of these sizes under the numbers from <see cref="First"/> on, not close-on-exec, as a service manager does.</summary>
    private static void Pass(params ulong[] sizes)
    {
        for (int i = 0; i < sizes.Length; i++)
        {
            using var file = Memfd.Create("passed", sizes[i]);
            Assert.Equal(First + i, Syscall.dup2(file.Number, First + i));
        }
    }
}
