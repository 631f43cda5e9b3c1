// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using BarBroker.Linux.Memory;

namespace BarBroker.Linux.Tests.Abi;

/// <summary>Every number and layout of <c>BarBroker.Linux.Interop</c>, against the system's headers.</summary>
public sealed class AbiTests
{
    /// <summary>Newer than Linux 6.1, whose headers Debian 12 has.</summary>
    private static readonly string[] NewerThanOldHeaders = ["MFD_NOEXEC_SEAL", "F_SEAL_EXEC", "SO_PEERPIDFD", "PID_FS_MAGIC"];

    private static readonly Lazy<AbiResult> Result = new(() => Compare().Run("linux"));

    [Fact]
    public void Interop_AllOfIt_IsWhatTheHeadersSay() => Result.Value.AssertEqual(NewerThanOldHeaders);

    [Fact]
    public void Interop_NewerThanTheHeaders_IsNotCompared() => Result.Value.SkipIfUnknown();

    [Fact]
    public void Interop_EveryStruct_IsCompared()
    {
        Type[] compared = [typeof(EpollEvent), typeof(PollFd), typeof(Stat), typeof(Statfs), typeof(Timespec)];

        Assert.Equal(compared, StructsOf("BarBroker.Linux.Interop"));
    }

    [Fact]
    public void AssertEqual_WrongNumber_Fails() =>
        Assert.ThrowsAny<Exception>(() => new AbiComparison("fcntl.h").Constant("O_RDWR", 3).Run("wrong").AssertEqual([]));

    [Fact]
    public void AssertEqual_UnknownName_Fails() =>
        Assert.ThrowsAny<Exception>(() => new AbiComparison("fcntl.h").Constant("O_NO_SUCH_FLAG", 3).Run("unknown").AssertEqual([]));

    [Fact]
    public void AssertEqual_WrongLayout_Fails() =>
        Assert.ThrowsAny<Exception>(() => new AbiComparison("time.h").Struct<Timespec>("struct timespec", new() { ["Seconds"] = "tv_nsec", ["Nanoseconds"] = "tv_sec" }).Run("layout").AssertEqual([]));

    /// <summary>The structs of a namespace, by name.</summary>
    internal static IEnumerable<Type> StructsOf(string space) => typeof(Libc).Assembly.GetTypes()
        .Where(type => type is { IsValueType: true, IsEnum: false, IsNested: false } && type.Namespace == space)
        .OrderBy(type => type.Name, StringComparer.Ordinal);

    private static AbiComparison Compare() => new AbiComparison(
            "errno.h", "fcntl.h", "linux/magic.h", "poll.h", "sys/epoll.h", "sys/eventfd.h", "sys/mman.h", "sys/socket.h", "sys/stat.h", "sys/syscall.h", "sys/vfs.h", "time.h", "unistd.h", "linux/memfd.h")
        .Constants(typeof(Constants))
        .Enumeration<Errno>(name => name, except: nameof(Errno.None))
        .Enumeration<MemfdSeals>(name => name == nameof(MemfdSeals.FutureWrite) ? "F_SEAL_FUTURE_WRITE" : $"F_SEAL_{name.ToUpperInvariant()}", except: nameof(MemfdSeals.None))
        .Struct<EpollEvent>("struct epoll_event")
        .Struct<PollFd>("struct pollfd", new() { [nameof(PollFd.ReturnedEvents)] = "revents" })
        .Struct<Stat>("struct stat", new() { [nameof(Stat.Device)] = "st_dev", [nameof(Stat.Inode)] = "st_ino" }, isPrefix: true)
        .Struct<Statfs>("struct statfs", new() { [nameof(Statfs.Type)] = "f_type" })
        .Struct<Timespec>("struct timespec", new() { [nameof(Timespec.Seconds)] = "tv_sec", [nameof(Timespec.Nanoseconds)] = "tv_nsec" });
}
