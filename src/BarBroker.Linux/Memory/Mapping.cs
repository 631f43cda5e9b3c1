// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.Memory;

/// <summary>A shared mapping of a buffer. When the buffer is revoked, touching the memory through <see cref="Address"/> raises SIGBUS.</summary>
public sealed class Mapping : SafeHandle
{
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
    /// <exception cref="LinuxException">EINVAL: the exporter does not support mappings (vfio-pci up to at least 7.3). ENODEV: revoked.</exception>
    public static Mapping Map(FileDescriptor file, ulong length, bool writable)
    {
        nint address = Libc.Mmap(0, checked((nuint)length), writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
        return address != -1 ? new Mapping(address, (nuint)length) : throw LinuxException.Last("mmap", file.ToString());
    }

    protected override bool ReleaseHandle() => Libc.Munmap(handle, _length) == 0;
}
