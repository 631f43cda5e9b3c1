// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Memory;

/// <summary>Anonymous memory as a file (memfd_create(2)). Read and written by system calls only: a holder may shrink it, and a mapping would take the SIGBUS.</summary>
public sealed class Memfd : FileDescriptor
{
    private const string LinkPrefix = "/memfd:";
    private const string LinkSuffix = " (deleted)";
    private readonly string _name;
    private readonly Memfd? _original;

    private Memfd(int fd, string name) : base(fd) => _name = name;

    private Memfd(Memfd original) : base(-1)
    {
        bool added = false;
        original.DangerousAddRef(ref added);
        _name = original._name;
        _original = original;
        SetHandle(original.handle);
    }

    /// <summary>A memfd of <paramref name="size"/> zero bytes that may be sealed and, where the kernel knows how (6.3), never executed.</summary>
    public static Memfd Create(string name, ulong size)
    {
        int fd = Libc.MemfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && (Errno)Marshal.GetLastPInvokeError() == Errno.EINVAL)
        {
            fd = Libc.MemfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        }

        if (fd < 0)
        {
            throw LinuxException.Last("memfd_create", name);
        }

        var memfd = new Memfd(fd, name);
        try
        {
            memfd.SetSize(size);
            return memfd;
        }
        catch
        {
            memfd.Dispose();
            throw;
        }
    }

    /// <summary>Takes over a descriptor that another run of this program made, unless it is something else.</summary>
    /// <exception cref="IOException">It is no memfd of that name; it is the caller's still.</exception>
    public static Memfd Adopt(FileDescriptor file, string name)
    {
        if (NameOf(file) == name)
        {
            return new Memfd(file.Detach(), name);
        }

        string link = file.ReadLink();
        throw new IOException($"it is {(link.Length > 0 ? link : "of no kind that can be told")}, not the memfd {name}");
    }

    /// <summary>What the memfd was called when it was made. Null: it is none.</summary>
    public static string? NameOf(FileDescriptor file)
    {
        string link = file.ReadLink();
        return link.StartsWith(LinkPrefix, StringComparison.Ordinal) && link.EndsWith(LinkSuffix, StringComparison.Ordinal) ? link[LinkPrefix.Length..^LinkSuffix.Length] : null;
    }

    /// <summary>A second handle of the same descriptor, without a system call: the descriptor is closed when both are disposed.</summary>
    public Memfd Retain() => new(this);

    /// <summary>Truncating ends every access behind the new size: mappings of it raise SIGBUS wherever they are.</summary>
    public void SetSize(ulong size)
    {
        int result;
        do
        {
            result = Libc.Ftruncate(this, checked((long)size));
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        ThrowIf(result != 0, "ftruncate");
    }

    public void AddSeals(MemfdSeals seals) => ThrowIf(Libc.Fcntl(this, F_ADD_SEALS, (int)seals) != 0, "fcntl(F_ADD_SEALS)");

    public MemfdSeals GetSeals()
    {
        int seals = Libc.Fcntl(this, F_GET_SEALS, 0);
        ThrowIf(seals < 0, "fcntl(F_GET_SEALS)");
        return (MemfdSeals)seals;
    }

    /// <summary>Reads until the buffer is full or the file ends; returns the bytes read.</summary>
    public unsafe int Read(ulong offset, Span<byte> buffer)
    {
        int done = 0;
        // SAFETY: the span is pinned for the whole loop and never read into past its length.
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                nint count = Libc.Pread(this, start + done, (nuint)(buffer.Length - done), checked((long)offset + done));
                if (count == 0)
                {
                    break;
                }

                done += Transferred(count, "pread");
            }
        }

        return done;
    }

    public unsafe void Write(ulong offset, ReadOnlySpan<byte> data)
    {
        int done = 0;
        // SAFETY: the span is pinned for the whole loop and never written from past its length.
        fixed (byte* start = data)
        {
            while (done < data.Length)
            {
                done += Transferred(Libc.Pwrite(this, start + done, (nuint)(data.Length - done), checked((long)offset + done)), "pwrite");
            }
        }
    }

    /// <summary>The next run of bytes, from <paramref name="offset"/> and before <paramref name="end"/>, that was ever written; null where there is none.</summary>
    public (ulong Offset, ulong Length)? FindData(ulong offset, ulong end)
    {
        long data = Libc.Lseek(this, checked((long)offset), SEEK_DATA);
        if (data < 0)
        {
            return IsPastTheEnd() ? null : throw LinuxException.Last("lseek(SEEK_DATA)", ToString());
        }

        if ((ulong)data >= end)
        {
            return null;
        }

        long hole = Libc.Lseek(this, data, SEEK_HOLE);
        if (hole < 0)
        {
            // The file was shrunk between the two calls.
            return IsPastTheEnd() ? null : throw LinuxException.Last("lseek(SEEK_HOLE)", ToString());
        }

        return ((ulong)data, Math.Min((ulong)hole, end) - (ulong)data);
    }

    /// <summary>Gives the memory of a page-aligned run back; it reads as zeros.</summary>
    public void PunchHole(ulong offset, ulong length) =>
        ThrowIf(Libc.Fallocate(this, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, checked((long)offset), checked((long)length)) != 0, "fallocate(PUNCH_HOLE)");

    public override string ToString() => $"memfd {_name}";

    protected override bool ReleaseHandle()
    {
        if (_original is null)
        {
            return base.ReleaseHandle();
        }

        _original.DangerousRelease();
        return true;
    }

    /// <summary>The offset is behind the last data, or behind the end (lseek(2)).</summary>
    private static bool IsPastTheEnd() => Marshal.GetLastPInvokeError() == (int)Errno.ENXIO;

    private int Transferred(nint count, string call)
    {
        if (count >= 0)
        {
            return (int)count;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EINTR ? 0 : throw LinuxException.Last(call, ToString());
    }

    private void ThrowIf(bool failed, string call)
    {
        if (failed)
        {
            throw LinuxException.Last(call, ToString());
        }
    }
}
