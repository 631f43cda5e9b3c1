// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Client;

/// <summary>One dmabuf of a lease: ranges of one BAR, one after the other.</summary>
public sealed class LeaseBuffer
{
    private readonly Lease _lease;

    internal LeaseBuffer(Lease lease, V1.Buffer message, FileDescriptor file)
    {
        _lease = lease;
        File = file;
        Bar = (int)message.Bar;
        Size = message.Size;
        Ranges = [.. message.Ranges.Select(range => new BarRange(range.Offset, range.Length))];
    }

    /// <summary>The dmabuf. Owned by the lease and closed with it; duplicate it to keep it, pass it on to import it elsewhere. Access ends with the lease all the same.</summary>
    public FileDescriptor File { get; }

    /// <summary>BAR index, 0 to 5.</summary>
    public int Bar { get; }

    /// <summary>Bytes: the sum of the lengths of the ranges.</summary>
    public ulong Size { get; }

    /// <summary>What the buffer covers, in the order in which it is mapped.</summary>
    public ImmutableArray<BarRange> Ranges { get; }

    /// <summary>Maps the whole buffer.</summary>
    /// <param name="writable">False maps for reading only, as it must be for a read-only lease.</param>
    /// <exception cref="LeaseLostException">The lease is over.</exception>
    /// <exception cref="LinuxException">EINVAL: the device's exporter does not let the CPU map it. EACCES, EPERM: writable on a read-only lease.</exception>
    public BufferMapping Map(bool writable = true)
    {
        _lease.ThrowIfOver();
        try
        {
            return new BufferMapping(_lease, Mapping.Map(File, Size, writable, placement: Ranges[0].Offset), writable);
        }
        catch (LinuxException exception) when (exception.Errno == Errno.ENODEV)
        {
            throw _lease.MemoryGone(0, exception);
        }
    }
}
