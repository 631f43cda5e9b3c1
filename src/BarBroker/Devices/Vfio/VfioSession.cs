// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.ServiceManager;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>One opening of a device, until it is closed.</summary>
internal sealed class VfioSession : IDisposable
{
    private readonly PciNode _node;
    private readonly VfioGroupSlot _group;
    private VfioWatch? _watch;
    private bool _closed;

    private VfioSession(PciNode node, VfioGroupSlot group, VfioDeviceFile file, int? enabledBefore, string sysfsRoot)
    {
        EnabledBefore = enabledBefore;
        _node = node;
        _group = group;
        File = file;
        Driver = node.Driver ?? "";
        Proof = new VfioCloseProof(node, group, sysfsRoot, enabledBefore, node.EnableCount);
    }

    public VfioDeviceFile File { get; }

    /// <summary>How often the function was enabled before it was opened.</summary>
    public int? EnabledBefore { get; }

    /// <summary>What has to be kept with the file, see <see cref="VfioGroupSlot.KeptFiles"/>.</summary>
    public VfioGroupSlot Group => _group;

    /// <summary>The driver that made it a vfio device; it cannot change while the device is open.</summary>
    public string Driver { get; }

    /// <summary>To be asked after the session was closed.</summary>
    public VfioCloseProof Proof { get; }

    public static VfioSession Open(VfioDeviceOptions options)
    {
        var node = new PciNode(options.SysfsRoot, options.Address);
        VfioAdvice.Check(node);
        var group = VfioGroupSlot.Of(options.DevRoot, node.Group!);
        int? enabledBefore = node.EnableCount;
        var file = group.Open(node, Choose(node, options));
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

    /// <summary>With the files of an earlier run.</summary>
    /// <param name="kept">Owned by the session; on a failure the caller's, or closed.</param>
    public static VfioSession Restore(VfioDeviceOptions options, FileDescriptor kept, ImmutableArray<PassedDescriptor> shared, int? enabledBefore)
    {
        var node = new PciNode(options.SysfsRoot, options.Address);
        VfioAdvice.Check(node);
        var group = VfioGroupSlot.Of(options.DevRoot, node.Group!);
        var session = new VfioSession(node, group, group.Restore(node, kept, shared), enabledBefore, options.SysfsRoot);
        try
        {
            session.File.EnableMemory();
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
    public bool CanHotReset() => File.FindHotResetDevices().Length == 1;

    /// <summary>What the device can be reset by, and why by nothing more.</summary>
    public ResetMeans FindResetMeans()
    {
        if (File.CanReset())
        {
            string methods = _node.ResetMethods is { } known ? $" ({known.Replace(" ", ", ", StringComparison.Ordinal)})" : "";
            return ResetMeans.ByFunction($"the kernel resets the function{methods}");
        }

        var hit = File.FindHotResetDevices();
        ImmutableArray<string> neighbours = [.. hit.Where(address => address != _node.Address)];
        return hit.Length switch
        {
            0 => new ResetMeans(ResetWay.None, "the kernel has no way to reset it; it is closed and opened again", []),
            1 => new ResetMeans(ResetWay.Bus, "the kernel resets its slot or bus, on which it is alone", []),
            _ => new ResetMeans(
                ResetWay.None, $"it is closed and opened again, and not reset: that would reset {string.Join(", ", neighbours)} with it, on the same slot or bus", neighbours),
        };
    }

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

    private static VfioInterface Choose(PciNode node, VfioDeviceOptions options)
    {
        if (options.Interface is not VfioInterface.Automatic)
        {
            return options.Interface;
        }

        return node.CharacterDevice is { } name
            && System.IO.File.Exists(Path.Combine(options.DevRoot, "vfio/devices", name))
            && System.IO.File.Exists(Path.Combine(options.DevRoot, "iommu"))
            ? VfioInterface.CharacterDevice
            : VfioInterface.Group;
    }
}
