// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices.Simulated;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Devices;

/// <summary>A device that stays open without its broker, because somebody else keeps its descriptors, and that another run can take up as it is. By the same thread as all else of it.</summary>
internal interface IRestorableDevice : IBarDevice
{
    /// <summary>What has to be kept now, so that it can be taken up. None: it is not open.</summary>
    ImmutableArray<KeptFile> KeptFiles { get; }

    /// <summary>Whether it has a use for what is kept in this role of several devices.</summary>
    bool Shares(string role);

    /// <summary>In the place of <see cref="IBarDevice.Open"/>: takes up what was kept. On any failure nothing of it is open here.</summary>
    /// <param name="files">Named by their roles. Owned by the device from now on, whatever comes of it.</param>
    /// <param name="shared">Of several devices, named by their roles. What is of use is duplicated; the caller closes them.</param>
    /// <exception cref="IOException">They are not what they should be.</exception>
    void Restore(ImmutableArray<PassedDescriptor> files, ImmutableArray<PassedDescriptor> shared);

    /// <summary>A buffer of an earlier run as if <see cref="IBarDevice.Export"/> had made it.</summary>
    /// <param name="handle">Owned by the buffer, or closed.</param>
    /// <param name="bar">-1: any; then it is of use only to be revoked.</param>
    /// <exception cref="IOException">It is no such buffer of this device.</exception>
    ExportedBuffer Adopt(FileDescriptor handle, int bar, ImmutableArray<BarRange> ranges, BufferAccess access);

    /// <summary>A buffer of an earlier run, of whichever device, when that is not taken up: ends access to it if closing a device would not. A dmabuf ends with its device; a simulated device's does not.</summary>
    void Discard(FileDescriptor handle)
    {
        if (!handle.IsInvalid)
        {
            SimulatedBuffer.TryRevoke(handle);
        }
    }
}
