// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Memory;

namespace BarBroker.Client;

/// <summary>
/// The mapped memory of a buffer. When the lease is lost, the memory is gone at once: <see cref="CopyTo"/> and <see cref="CopyFrom"/> then throw, but
/// a load or store through <see cref="Address"/>, <see cref="Read32"/> or <see cref="Write32"/> raises SIGBUS, which .NET cannot catch and which ends the process.
/// </summary>
public sealed class BufferMapping : IDisposable
{
    private readonly Lease _lease;
    private readonly Mapping _mapping;
    private readonly MappingCopier _copier;

    internal BufferMapping(Lease lease, Mapping mapping, bool writable)
    {
        _lease = lease;
        _mapping = mapping;
        _copier = new MappingCopier(mapping);
        IsWritable = writable;
    }

    public bool IsWritable { get; }

    /// <summary>Bytes.</summary>
    public ulong Length => _mapping.Length;

    /// <summary>The first byte, valid until this object is disposed. SIGBUS once the lease is lost.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_mapping.IsClosed, this);
            return _mapping.Address;
        }
    }

    /// <summary>
    /// Copies out of the buffer, by the kernel, which uses accesses of any width: for memory, such as queues and controller memory buffers. Device
    /// registers need accesses of an exact width, see <see cref="Read32"/>.
    /// </summary>
    /// <exception cref="LeaseLostException">The memory is gone; <see cref="LeaseLostException.Copied"/> bytes of the target are filled.</exception>
    public void CopyTo(ulong offset, Span<byte> target)
    {
        int copied = _copier.CopyOut(offset, target);
        if (copied < target.Length)
        {
            throw _lease.MemoryGone((ulong)copied);
        }
    }

    /// <summary>Copies into the buffer; see <see cref="CopyTo"/>.</summary>
    /// <exception cref="LeaseLostException">The memory is gone; at least <see cref="LeaseLostException.Copied"/> bytes were written before.</exception>
    /// <exception cref="InvalidOperationException">The mapping is for reading only.</exception>
    public void CopyFrom(ulong offset, ReadOnlySpan<byte> source)
    {
        if (!IsWritable)
        {
            throw new InvalidOperationException("The buffer was mapped for reading only; map it with writable: true.");
        }

        int copied = _copier.CopyIn(offset, source);
        if (copied < source.Length)
        {
            throw _lease.MemoryGone((ulong)copied);
        }
    }

    /// <summary>One load of four bytes at an aligned offset, as a register needs it. SIGBUS once the lease is lost.</summary>
    public uint Read32(ulong offset) => _mapping.Read32(offset);

    /// <summary>One store of four bytes at an aligned offset, as a register needs it. SIGBUS once the lease is lost, or if the mapping is for reading only.</summary>
    public void Write32(ulong offset, uint value) => _mapping.Write32(offset, value);

    public void Dispose()
    {
        _copier.Dispose();
        _mapping.Dispose();
    }
}
