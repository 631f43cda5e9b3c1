// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>A PCI device that belongs to vfio-pci or a variant of it.</summary>
/// <remarks>
/// Buffers are always read-write: the kernel opens an exported file O_RDONLY if asked to, but an importing driver is never asked for the mode of
/// the file (dma_buf_get and dma_buf_attach in drivers/dma-buf/dma-buf.c), so a device would write through it.
/// </remarks>
internal sealed partial class VfioDevice(VfioDeviceOptions options) : IRestorableDevice
{
    private static readonly ulong _pageSize = (ulong)Environment.SystemPageSize;

    private readonly RevokeCalls _revokes = new(options.Name, options.RevokePatience);
    private VfioSession? _session;

    /// <summary>Of the last session: it may be others' still.</summary>
    private VfioGroupSlot? _group;
    private VfioCapabilities? _capabilities;
    private VfioCloseProof? _unproven;
    private volatile DeviceDescription? _description;

    public string Name => options.Name;

    public DeviceDescription? Description => _description;

    public event Action<DeviceSignal, string>? Signaled;

    public void Open()
    {
        if (_session is not null || _unproven is not null)
        {
            throw new InvalidOperationException($"{options.Address} is open, or not proven to be closed.");
        }

        var revoke = options.RevokeFeatures;
        var attribute = options.MemoryAttributeFeatures;
        while (true)
        {
            var session = VfioSession.Open(options);
            try
            {
                var found = new VfioProbe(new ProbedFile(session.File), revoke, attribute, _pageSize).Run();
                if (found.Misbehaved.IsEmpty)
                {
                    session.Watch(Tell);
                    Begin(session, found);
                    return;
                }

                revoke = revoke.RemoveRange(found.Misbehaved);
                attribute = attribute.RemoveRange(found.Misbehaved);
            }
            finally
            {
                // Nothing was handed out, so it needs no proof.
                if (_session != session)
                {
                    session.Dispose();
                }
            }
        }
    }

    private void Begin(VfioSession session, VfioCapabilities found)
    {
        _description = Describe(session, found);
        _capabilities = found;
        _group = session.Group;
        _session = session;
    }

    public void Close()
    {
        if (_session is { } session)
        {
            _session = null;
            _capabilities = null;
            session.Dispose();
            _unproven = session.Proof;
        }

        _unproven?.Demand();
        _unproven = null;
        _revokes.Forget();
    }

    public ExportedBuffer Export(int bar, ImmutableArray<BarRange> ranges, BufferAccess access, MemoryAttribute attribute)
    {
        var (session, capabilities) = RequireOpen();
        if (access is not BufferAccess.ReadWrite)
        {
            throw new NotSupportedException($"{options.Address}: the kernel has no read-only buffers of a device.");
        }

        var handle = session.File.ExportDmaBuf(bar, [.. ranges.Select(static range => new VfioDmaRange(range.Offset, range.Length))]);
        try
        {
            SetAttribute(session, capabilities, handle, attribute);
            return new ExportedBuffer(handle, bar, ranges, access);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <remarks>
    /// By write(2) to the device's file, which the kernel does word by word and refuses with EIO while memory is off (vfio_pci_core_do_io_rw in vfio_pci_rdwr.c); a mapping
    /// would raise SIGBUS then. What the kernel keeps for itself, the table of MSI-X vectors, it leaves out.
    /// </remarks>
    public void Fill(int bar, BarRange range, uint word) =>
        RequireOpen().Session.File.WriteRegion(bar, range.Offset, Pattern.Of(word, checked((int)range.Length)));

    public void Revoke(ExportedBuffer buffer)
    {
        var (session, capabilities) = RequireOpen();
        int feature = capabilities.RevokeFeature
            ?? throw new InvalidOperationException($"{options.Address} cannot revoke a single buffer.");
        var result = _revokes.Revoke(buffer, () => session.File.RevokeDmaBuf(feature, buffer.Handle));
        if (result is null)
        {
            throw new IOException($"VFIO_DEVICE_FEATURE(DMA_BUF_REVOKE) on a buffer of BAR {buffer.Bar} of {options.Address}: no answer for {options.RevokePatience.TotalSeconds:0.#} s; the driver of another device has it mapped and does not let go");
        }

        if (result is not (Errno.None or Errno.EBADFD))
        {
            throw new LinuxException("VFIO_DEVICE_FEATURE(DMA_BUF_REVOKE)", $"a buffer of BAR {buffer.Bar} of {options.Address}", result.Value);
        }
    }

    public void Reset()
    {
        var (session, _) = RequireOpen();
        if (session.File.CanReset())
        {
            session.File.Reset();
        }
        else if (session.CanHotReset())
        {
            session.HotReset();
        }
        else
        {
            throw new NotSupportedException($"{options.Address} has no way to be reset alone.");
        }

        session.File.EnableMemory();
    }

    /// <summary>Closes what is open, without proof: for the end of the process, which closes it anyway.</summary>
    public void Dispose()
    {
        _session?.Dispose();
        _session = null;
        _revokes.Dispose();
    }

    private DeviceDescription Describe(VfioSession session, VfioCapabilities found) => new(
        Kind: "vfio",
        Address: options.Address,
        Domain: found.Domain,
        Detail: found.Detail,
        Bars: found.Bars,
        PageSize: _pageSize,
        MemoryAttributes: found.MemoryAttributeFeature is null ? [MemoryAttribute.NonCached] : [MemoryAttribute.NonCached, MemoryAttribute.WriteCombining],
        Accesses: [BufferAccess.ReadWrite],
        Reset: session.FindResetMeans())
    { Driver = session.Driver };

    private static void SetAttribute(VfioSession session, VfioCapabilities capabilities, FileDescriptor handle, MemoryAttribute attribute)
    {
        if (attribute is MemoryAttribute.NonCached)
        {
            // What the kernel does unless told otherwise.
            return;
        }

        int feature = capabilities.MemoryAttributeFeature ?? throw new NotSupportedException($"{session.File}: the kernel cannot set the memory attribute of a buffer.");
        var result = session.File.SetDmaBufMemoryAttribute(feature, handle, (uint)attribute);
        if (result is not Errno.None)
        {
            throw new LinuxException("VFIO_DEVICE_FEATURE(DMA_BUF_MEMATTR)", session.File.ToString(), result);
        }
    }

    private void Tell(VfioEvent what)
    {
        if (what is VfioEvent.Request)
        {
            Signaled?.Invoke(DeviceSignal.Requested, "the kernel asks for the device back: it is being unbound or unplugged");
        }
        else
        {
            Signaled?.Invoke(DeviceSignal.Failed, "the device reported an uncorrectable error");
        }
    }

    private (VfioSession Session, VfioCapabilities Capabilities) RequireOpen() =>
        _session is { } session && _capabilities is { } capabilities
            ? (session, capabilities)
            : throw new InvalidOperationException($"{options.Address} is not open.");
}
