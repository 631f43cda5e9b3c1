// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.ServiceManager;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <content>What the devices of a group share is kept over a restart as long as one of them is open, and taken up with the first of them.</content>
internal sealed partial class VfioGroupSlot
{
    /// <summary>What the roles of a group's files begin with.</summary>
    public static string RolePrefix(string group) => $"{group}/";

    /// <summary>None: no device of the group is open.</summary>
    public ImmutableArray<KeptFile> KeptFiles()
    {
        lock (_gate)
        {
            return _access?.KeptFiles(_group) ?? [];
        }
    }

    /// <summary>In the place of <see cref="Open"/>.</summary>
    /// <param name="file">Owned by what is returned; on a failure the caller's.</param>
    /// <param name="shared">What was kept of the group.</param>
    /// <exception cref="IOException">They are not what they should be.</exception>
    public VfioDeviceFile Restore(PciNode device, FileDescriptor file, ImmutableArray<PassedDescriptor> shared)
    {
        lock (_gate)
        {
            _users++;
            try
            {
                _access ??= RestoreAccess(shared);
                return VfioDeviceFile.Adopt(file, device.Address, device.RealPath, device.Ids);
            }
            catch
            {
                GiveBack();
                throw;
            }
        }
    }

    private VfioAccess RestoreAccess(ImmutableArray<PassedDescriptor> shared)
    {
        string prefix = RolePrefix(_group);
        var own = shared.Where(kept => kept.Name.StartsWith(prefix, StringComparison.Ordinal)).Select(kept => (Part: kept.Name[prefix.Length..], kept.File)).ToList();
        FileDescriptor? Duplicate(string part) => own.Find(kept => kept.Part == part).File?.Duplicate();
        if (own.Find(static kept => kept.Part.StartsWith("iommu", StringComparison.Ordinal)) is { File: not null } iommu)
        {
            using var file = iommu.File.Duplicate();
            return CharacterDeviceAccess.Restore(Path.Combine(_devRoot, "vfio/devices"), Path.Combine(_devRoot, "iommu"), file, iommu.Part);
        }

        using var group = Duplicate("group");
        using var container = Duplicate("container");
        return GroupAccess.Restore(_groupPath, Path.Combine(_devRoot, "vfio/vfio"), group, container);
    }
}
