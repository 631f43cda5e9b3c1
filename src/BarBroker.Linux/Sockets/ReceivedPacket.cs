// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Linux.Sockets;

/// <summary>One packet. Whoever receives it owns its descriptors and disposes it.</summary>
/// <param name="Length">Bytes stored in the caller's buffer; 0 is the end of the connection, or an empty packet.</param>
/// <param name="IsTruncated">The packet was longer than the buffer, or had more descriptors than were asked for.</param>
/// <param name="Files">Descriptors that came with it, close-on-exec.</param>
public readonly record struct ReceivedPacket(int Length, bool IsTruncated, ImmutableArray<FileDescriptor> Files) : IDisposable
{
    public void Dispose()
    {
        foreach (var file in Files)
        {
            file.Dispose();
        }
    }
}
