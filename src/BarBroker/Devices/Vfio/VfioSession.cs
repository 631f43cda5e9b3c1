// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>One opening of a device, until it is closed.</summary>
internal sealed class VfioSession : IDisposable
{
    private readonly VfioGroupSlot _group;
    private VfioWatch? _watch;
    private bool _closed;

    private VfioSession(PciNode node, VfioGroupSlot group, VfioDeviceFile file, int? enabledBefore, string sysfsRoot)
    {
        _group = group;
        File = file;
        Proof = new VfioCloseProof(node, group, sysfsRoot, enabledBefore, node.EnableCount);
    }

    public VfioDeviceFile File { get; }

    /// <summary>To be asked after the session was closed.</summary>
    public VfioCloseProof Proof { get; }

    public static VfioSession Open(VfioDeviceOptions options)
    {
        var node = new PciNode(options.SysfsRoot, options.Address);
        VfioAdvice.Check(node);
        var group = VfioGroupSlot.Of(options.DevRoot, node.Group!);
        int? enabledBefore = node.EnableCount;
        var file = CharacterDevice(node, options) is { } path ? group.OpenByCharacterDevice(node, path) : group.OpenByGroup(node);
        var session = new VfioSession(node, group, file, enabledBefore, options.SysfsRoot);
        try
        {
            file.EnableMemory();
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Begins to call <paramref name="raised"/> for what the kernel tells, until the session is closed.</summary>
    public void Watch(Action<VfioEvent> raised) => _watch = new VfioWatch(File, raised);

    /// <summary>Whether a reset of the slot or bus would hit this function alone.</summary>
    public bool CanHotReset() => File.CountHotResetDevices() == 1;

    public void HotReset() => _group.HotReset(File);

    /// <summary>Closes the files.</summary>
    /// <remarks>
    /// The watch goes first, so that no loss is told of a device that has been opened again; then the device's file, where the kernel waits for importers,
    /// without limit; the group last, since the device's file keeps it open anyway.
    /// </remarks>
    public void Dispose()
    {
        if (_closed)
        {
            return;
        }

        _watch?.Dispose();
        File.Dispose();
        _group.Release();
        _closed = true;
    }

    private static string? CharacterDevice(PciNode node, VfioDeviceOptions options)
    {
        string? path = node.CharacterDevice is { } name ? Path.Combine(options.DevRoot, "vfio/devices", name) : null;
        bool usable = path is not null && System.IO.File.Exists(path) && System.IO.File.Exists(Path.Combine(options.DevRoot, "iommu"));
        return options.Interface switch
        {
            VfioInterface.Group => null,
            VfioInterface.CharacterDevice => path ?? throw new IOException(
                $"{node.Address} has no character device: the kernel is built without CONFIG_VFIO_DEVICE_CDEV. Open it by its group."),
            _ => usable ? path : null,
        };
    }
}
