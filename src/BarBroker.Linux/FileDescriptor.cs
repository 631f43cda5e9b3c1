// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Interop;
using Microsoft.Win32.SafeHandles;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux;

/// <summary>An owned file descriptor, closed once. Always close-on-exec unless <see cref="SetInheritable"/> said otherwise.</summary>
public class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    /// <summary>Takes ownership of <paramref name="fd"/>.</summary>
    public FileDescriptor(int fd) : base(ownsHandle: true) => SetHandle(fd);

    /// <summary>The number, for messages and for interfaces that speak in numbers (the environment of a child). It is valid only while this object is.</summary>
    public int Number => (int)handle;

    /// <summary>Opens a path with <c>O_CLOEXEC</c>, read-write unless told otherwise.</summary>
    /// <exception cref="LinuxException">The kernel refused.</exception>
    public static FileDescriptor Open(string path, bool writable = true)
    {
        int fd = Libc.Open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        return fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.Last("open", path);
    }

    /// <summary>Another descriptor of the same open file, close-on-exec.</summary>
    /// <exception cref="LinuxException">No descriptor left.</exception>
    public FileDescriptor Duplicate()
    {
        int fd = Libc.Fcntl(this, F_DUPFD_CLOEXEC, 3);
        return fd >= 0 ? new FileDescriptor(fd) : throw LinuxException.Last("fcntl(F_DUPFD_CLOEXEC)", ToString());
    }

    /// <summary>Lets children that are started from now on inherit the descriptor, or not.</summary>
    public void SetInheritable(bool inheritable)
    {
        if (Libc.Fcntl(this, F_SETFD, inheritable ? 0 : FD_CLOEXEC) != 0)
        {
            throw LinuxException.Last("fcntl(F_SETFD)", ToString());
        }
    }

    /// <summary>Which file it is, see <see cref="FileIdentity"/>.</summary>
    public unsafe FileIdentity GetFileIdentity()
    {
        Stat found;
        // SAFETY: the kernel fills the local, which is larger than its struct.
        return Libc.Fstat(this, &found) == 0 ? new FileIdentity(found.Device, found.Inode) : throw LinuxException.Last("fstat", ToString());
    }

    /// <summary>What /proc calls the open file, such as <c>/dmabuf:</c> or <c>anon_inode:[vfio-device]</c>; empty if it cannot be looked at.</summary>
    public string ReadLink()
    {
        bool added = false;
        DangerousAddRef(ref added);
        try
        {
            return new FileInfo(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fd/{Number}")).LinkTarget ?? "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
        finally
        {
            DangerousRelease();
        }
    }

    /// <summary>Gives the descriptor to another handle: this one is closed without closing it.</summary>
    internal int Detach()
    {
        int fd = (int)handle;
        SetHandleAsInvalid();
        SetHandle(-1);
        return fd;
    }

    /// <summary>The size in bytes that the kernel tells by <c>lseek(SEEK_END)</c>; a dmabuf answers it, too.</summary>
    public ulong GetSize()
    {
        long size = Libc.Lseek(this, 0, SEEK_END);
        return size >= 0 ? (ulong)size : throw LinuxException.Last("lseek(SEEK_END)", ToString());
    }

    /// <summary>Returns when what was written is on the disk (fsync(2)); of a directory: when its entries are.</summary>
    public void Sync()
    {
        if (Libc.Fsync(this) != 0)
        {
            throw LinuxException.Last("fsync", ToString());
        }
    }

    public override string ToString() => $"fd {handle}";

    /// <remarks>close is not repeated after EINTR: Linux has freed the number already (close(2)).</remarks>
    protected override bool ReleaseHandle() => Libc.Close((int)handle) == 0;
}
