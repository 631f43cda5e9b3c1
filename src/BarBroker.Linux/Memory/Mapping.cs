// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Memory;

/// <summary>A shared mapping of a buffer. When the buffer is revoked, touching the memory through <see cref="Address"/> raises SIGBUS.</summary>
public sealed class Mapping : SafeHandle
{
    private const nuint HugePage = 2 << 20;

    private readonly nuint _length;

    private Mapping(nint address, nuint length) : base(-1, ownsHandle: true)
    {
        SetHandle(address);
        _length = length;
    }

    public override bool IsInvalid => handle == -1;

    /// <summary>The first byte. Whoever reads or writes through it must be prepared for SIGBUS, and must not outlive this object.</summary>
    public nint Address => handle;

    /// <summary>Bytes.</summary>
    public ulong Length => _length;

    /// <summary>Maps the first <paramref name="length"/> bytes of the file with <c>MAP_SHARED</c>.</summary>
    /// <param name="file">A memfd or dmabuf.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="writable">Whether the memory can be written through the mapping.</param>
    /// <param name="placement">
    /// Where the memory lies on its device, in bytes. A mapping of 2 MiB or more gets an address that is congruent to it modulo 2 MiB: only then can the
    /// kernel map it with huge pages (vmf_insert_pfn_pmd needs both sides aligned), and a dmabuf's file has no way to choose the address itself.
    /// </param>
    /// <exception cref="LinuxException">EINVAL: the exporter does not support mappings (vfio-pci up to at least 7.3). ENODEV: revoked.</exception>
    public static Mapping Map(FileDescriptor file, ulong length, bool writable, ulong placement = 0)
    {
        nuint size = checked((nuint)length);
        int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
        return size < HugePage ? MapAnywhere(file, size, protection) : MapInStep(file, size, protection, (nuint)(placement % HugePage));
    }

    private static Mapping MapAnywhere(FileDescriptor file, nuint length, int protection)
    {
        nint address = Libc.Mmap(0, length, protection, MAP_SHARED, file, 0);
        return address != -1 ? new Mapping(address, length) : throw LinuxException.Last("mmap", file.ToString());
    }

    /// <summary>Reserves more addresses than needed, so that the right one is among them, maps there, and gives the rest back.</summary>
    private static Mapping MapInStep(FileDescriptor file, nuint length, int protection, nuint step)
    {
        using var none = new FileDescriptor(-1);
        nuint reserved = checked(length + HugePage);
        nint start = Libc.Mmap(0, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, none, 0);
        if (start == -1)
        {
            return MapAnywhere(file, length, protection);
        }

        nuint before = (step - (nuint)start) % HugePage;
        nint address = Libc.Mmap(start + (nint)before, length, protection, MAP_SHARED | MAP_FIXED, file, 0);
        if (address == -1)
        {
            var failure = LinuxException.Last("mmap", file.ToString());
            _ = Libc.Munmap(start, reserved);
            throw failure;
        }

        Unreserve(start, before);
        Unreserve(address + (nint)length, HugePage - before);
        return new Mapping(address, length);
    }

    /// <summary>A failure, which only a process at the limit of its mappings can see, leaves addresses unused and nothing else.</summary>
    private static void Unreserve(nint address, nuint length)
    {
        if (length > 0)
        {
            _ = Libc.Munmap(address, length);
        }
    }

    protected override bool ReleaseHandle() => Libc.Munmap(handle, _length) == 0;
}
