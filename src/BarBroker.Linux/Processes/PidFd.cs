// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using BarBroker.Linux.Sockets;
using Mono.Unix.Native;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Processes;

/// <summary>A process, whatever becomes of its number (pidfd_open(2)). Readable once the process has ended.</summary>
public sealed class PidFd : FileDescriptor
{
    private PidFd(int fd, int pid) : base(fd) => Pid = pid;

    /// <summary>The number that the process had when this was opened.</summary>
    public int Pid { get; }

    /// <exception cref="LinuxException">ESRCH: no such process.</exception>
    public static PidFd Open(int pid)
    {
        nint fd = Libc.Syscall(SYS_pidfd_open, pid, 0, 0, 0);
        return fd >= 0 ? new PidFd((int)fd, pid) : throw LinuxException.Last("pidfd_open", $"process {pid}");
    }

    /// <summary>A pidfd that an earlier run of this program had. Takes it over, unless it is something else.</summary>
    /// <param name="pid">As <see cref="Pid"/> was.</param>
    /// <exception cref="IOException">It is something else.</exception>
    public static PidFd Adopt(FileDescriptor file, int pid)
    {
        string link = file.ReadLink();
        return link == "anon_inode:[pidfd]" || link.StartsWith("pidfd:", StringComparison.Ordinal) ? new PidFd(file.Detach(), pid) : throw new IOException($"it is {link}, not a pidfd");
    }

    /// <summary>
    /// The process that connected the socket. Before Linux 6.5 (no <c>SO_PEERPIDFD</c>) it is found by its number, and believed only if the
    /// peer still holds the connection afterwards.
    /// </summary>
    /// <exception cref="LinuxException">ESRCH: the process is gone.</exception>
    public static unsafe PidFd OfPeer(Socket socket)
    {
        var peer = PeerCredentials.Of(socket);
        int fd;
        uint length = sizeof(int);
        // SAFETY: the kernel writes one int into the local.
        if (Libc.GetSockOpt(socket.SafeHandle, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0)
        {
            return new PidFd(fd, peer.Pid);
        }

        var errno = (Errno)Marshal.GetLastPInvokeError();
        return errno == Errno.ENOPROTOOPT ? OpenChecked(socket, peer.Pid) : throw new LinuxException("getsockopt(SO_PEERPIDFD)", $"the peer, process {peer.Pid}", errno);
    }

    /// <summary>Whether the process has ended.</summary>
    public unsafe bool HasExited()
    {
        using var use = new HandleUse(this);
        var poll = new PollFd { Fd = use.Number, Events = POLLIN };
        // SAFETY: one entry, a local.
        return Libc.Poll(&poll, 1, 0) > 0;
    }

    /// <summary>A key for "the same process".</summary>
    /// <exception cref="LinuxException">ESRCH: the process has ended (before Linux 6.9 only; from then on the identity outlives it).</exception>
    public ProcessIdentity GetIdentity()
    {
        if (!IsOnPidFs())
        {
            return ReadStartTime();
        }

        // 64-bit inode numbers of pidfs are never reused (fs/pidfs.c).
        using var use = new HandleUse(this);
        return Syscall.fstat(use.Number, out var status) == 0
            ? new ProcessIdentity(0, status.st_ino)
            : throw new LinuxException("fstat", ToString(), (Errno)NativeConvert.FromErrno(Stdlib.GetLastError()));
    }

    /// <summary>
    /// The path of the program that the process runs now, if that path names the same file here; null if it does not (deleted or replaced since, or another mount
    /// namespace, where anybody may have put anything at any path), if this user may not look, or if the process has ended.
    /// </summary>
    public string? ReadExecutable()
    {
        try
        {
            string link = $"/proc/{NumberInProc()}/exe";
            return new FileInfo(link).LinkTarget is { } path
                && Syscall.stat(link, out var running) == 0
                && Syscall.stat(path, out var here) == 0
                && (running.st_dev, running.st_ino) == (here.st_dev, here.st_ino)
                && !HasExited()
                ? path
                : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>The command name, see <see cref="ProcessName"/>.</summary>
    public string ReadName()
    {
        try
        {
            return ProcessName.Of(NumberInProc());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>The cgroup of the process in the unified hierarchy (cgroups(7)), such as <c>/system.slice/cron.service</c>; null if it has none or has ended.</summary>
    public string? ReadCgroup()
    {
        const string Unified = "0::";
        try
        {
            string? line = File.ReadAllLines($"/proc/{NumberInProc()}/cgroup").FirstOrDefault(line => line.StartsWith(Unified, StringComparison.Ordinal));

            // Read while the process was there, so it is this one's.
            return HasExited() ? null : line?[Unified.Length..];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <exception cref="LinuxException">ESRCH: the process has ended. EPERM.</exception>
    public void SendSignal(int signal)
    {
        using var use = new HandleUse(this);
        if (Libc.Syscall(SYS_pidfd_send_signal, use.Number, signal, 0, 0) != 0)
        {
            throw LinuxException.Last("pidfd_send_signal", ToString());
        }
    }

    public override string ToString() => $"process {Pid}";

    /// <summary>How the peer is found before Linux 6.5.</summary>
    internal static PidFd OpenChecked(Socket socket, int pid)
    {
        var process = Open(pid);
        if (!FdSocket.HasHungUp(socket) && !process.HasExited())
        {
            return process;
        }

        process.Dispose();
        throw new LinuxException("pidfd_open", $"process {pid}", Errno.ESRCH);
    }

    /// <summary>
    /// What /proc calls the process: it has the numbers of the pid namespace that it was mounted for, which need not be this process's, and another one may have this one's number there. No process has
    /// the 0 or -1 that it says of one that it does not show, or that has ended (fs/pidfs.c, pidfd_show_fdinfo).
    /// </summary>
    private int NumberInProc()
    {
        using var use = new HandleUse(this);
        const string Field = "Pid:";
        string line = File.ReadLines($"/proc/self/fdinfo/{use.Number}").First(static line => line.StartsWith(Field, StringComparison.Ordinal));
        return int.Parse(line.AsSpan(Field.Length), NumberStyles.Integer, CultureInfo.InvariantCulture);
    }

    private unsafe bool IsOnPidFs()
    {
        Statfs fileSystem;
        // SAFETY: the kernel fills the local of the right layout.
        return Libc.Fstatfs(this, &fileSystem) == 0 ? fileSystem.Type == PID_FS_MAGIC : throw LinuxException.Last("fstatfs", ToString());
    }

    /// <summary>The identity before Linux 6.9.</summary>
    internal ProcessIdentity ReadStartTime()
    {
        try
        {
            // Field 22 of proc_pid_stat(5), counted from behind the name, which may hold anything.
            string status = File.ReadAllText($"/proc/{NumberInProc()}/stat");
            ulong start = ulong.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[19], CultureInfo.InvariantCulture);

            // Read while the process was there, so it is this one's and not that of a later process with its number.
            if (!HasExited())
            {
                return new ProcessIdentity(Pid, start);
            }
        }
        catch (IOException)
        {
            // No such process: told below.
        }

        throw new LinuxException("reading the start time", ToString(), Errno.ESRCH);
    }
}
