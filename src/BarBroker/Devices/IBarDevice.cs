// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Devices;

/// <summary>
/// A device whose BARs can be exported as dmabufs and taken back. It knows nothing of leases.
/// </summary>
/// <remarks>
/// Every method may block for as long as the kernel does, without a way to cancel it; each device is therefore driven by one thread of its
/// own, one call at a time. Only <see cref="Name"/>, <see cref="Description"/> and <see cref="Signaled"/> may be used
/// from other threads. A failed kernel call is thrown as an <see cref="IOException"/> that names call, errno and device.
/// </remarks>
internal interface IBarDevice : IDisposable
{
    /// <summary>The name in the configuration.</summary>
    string Name { get; }

    /// <summary>What the device is and can do, as of the last <see cref="Open"/>; an immutable snapshot, null before the first one succeeded.</summary>
    DeviceDescription? Description { get; }

    /// <summary>
    /// Raised from any thread, with the reason in words, at most once for each signal while the device is open. Whatever it says, the device still needs
    /// <see cref="Close"/>.
    /// </summary>
    event Action<DeviceSignal, string>? Signaled;

    /// <summary>Opens the device and finds out what it can do. Not to be called while it is open.</summary>
    void Open();

    /// <summary>
    /// Closes the device. Returning is the proof that nobody can reach anything that was exported since <see cref="Open"/>; throwing proves nothing.
    /// Closing a closed device does nothing.
    /// </summary>
    void Close();

    /// <summary>Exports ranges of one BAR as one dmabuf, in the order given. The ranges are valid for the device; two live exports may overlap only if both are read-only.</summary>
    ExportedBuffer Export(int bar, ImmutableArray<BarRange> ranges, BufferAccess access, MemoryAttribute attribute);

    /// <summary>Writes the word over and over into the range, little-endian, through the device's own memory and never through a mapping. Nothing that is exported overlaps with it.</summary>
    void Fill(int bar, BarRange range, uint word);

    /// <summary>
    /// Ends every access to the buffer, for good. Returning is the proof; throwing proves nothing. An already revoked buffer is proof, too. Only for
    /// devices of <see cref="RevocationDomain.Selective"/>. Does not dispose the buffer.
    /// </summary>
    void Revoke(ExportedBuffer buffer);

    /// <summary>Resets the open device to its power-on state, where it has a way to.</summary>
    void Reset();
}
