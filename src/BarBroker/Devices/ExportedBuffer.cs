// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;

namespace BarBroker.Devices;

/// <summary>One dmabuf that a device made. Disposing it closes the broker's fd and says nothing about access.</summary>
internal sealed class ExportedBuffer(FileDescriptor handle, int bar, ImmutableArray<BarRange> ranges, BufferAccess access) : IDisposable
{
    public FileDescriptor Handle { get; } = handle;

    public int Bar { get; } = bar;

    public ImmutableArray<BarRange> Ranges { get; } = ranges;

    public BufferAccess Access { get; } = access;

    public void Dispose() => Handle.Dispose();
}
