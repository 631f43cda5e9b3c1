// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Devices.Vfio;

/// <content>
/// What is kept of it over a restart: its file, and those of its group. What it can do was tried out when it was opened, and is not tried again while others hold its buffers: the file is called by it.
/// </content>
internal sealed partial class VfioDevice
{
    private const string RolePrefix = "vfio";

    public ImmutableArray<KeptFile> KeptFiles => (_session, _capabilities) is ({ } session, { } found)
        ? [new KeptFile(Role(session, found), session.File), .. session.Group.KeptFiles()]
        : [];

    public bool Shares(string role) => new PciNode(options.SysfsRoot, options.Address).Group is { } group && role.StartsWith(VfioGroupSlot.RolePrefix(group), StringComparison.Ordinal);

    public void Restore(ImmutableArray<PassedDescriptor> files, ImmutableArray<PassedDescriptor> shared)
    {
        VfioSession? session = null;
        try
        {
            if (_session is not null || files is not [{ } kept])
            {
                throw new IOException($"{files.Length} descriptors were kept of {options.Address}, not one");
            }

            var role = ReadRole(kept.Name);
            session = VfioSession.Restore(options, kept.File, shared, role.EnabledBefore);
            var bars = ImmutableArray.CreateBuilder<BarDescription>();
            for (int index = 0; index <= 5; index++)
            {
                if ((role.Bars & (1 << index)) != 0)
                {
                    bars.Add(new BarDescription(index, session.File.GetRegion(index).Size));
                }
            }

            session.Watch(Tell);
            Begin(session, new VfioCapabilities(
                role.Revoke is null ? RevocationDomain.Device : RevocationDomain.Selective,
                VfioProbe.Explain(role.Revoke, role.IsMappable, options.RevokeFeatures),
                bars.ToImmutable(),
                role.Revoke,
                role.Attribute,
                [])
            { IsMappable = role.IsMappable });
            session = null;
        }
        finally
        {
            session?.Dispose();
            foreach (var file in files)
            {
                file.File.Dispose();
            }
        }
    }

    public ExportedBuffer Adopt(FileDescriptor handle, int bar, ImmutableArray<BarRange> ranges, BufferAccess access)
    {
        string link = handle.ReadLink();
        ulong size = 0;
        foreach (var range in ranges)
        {
            size += range.Length;
        }

        if (!link.StartsWith("/dmabuf:", StringComparison.Ordinal))
        {
            throw new IOException($"it is {link}, no dmabuf");
        }

        return bar < 0 || handle.GetSize() == size
            ? new ExportedBuffer(handle, bar, ranges, access)
            : throw new IOException($"it has {handle.GetSize()} bytes, not {size}");
    }

    private static string Role(VfioSession session, VfioCapabilities found) => string.Create(
        CultureInfo.InvariantCulture,
        $"{RolePrefix}.{found.Bars.Aggregate(0, static (mask, bar) => mask | (1 << bar.Index))}.{found.RevokeFeature}.{found.MemoryAttributeFeature}.{(found.IsMappable ? 1 : 0)}.{session.EnabledBefore}");

    /// <exception cref="IOException">It is no role of a device.</exception>
    private static (int Bars, int? Revoke, int? Attribute, bool IsMappable, int? EnabledBefore) ReadRole(string role) =>
        role.Split('.') is [RolePrefix, var bars, var revoke, var attribute, var mappable, var enabled]
            ? (Number(bars) ?? throw new IOException($"{role} tells no BARs"), Number(revoke), Number(attribute), mappable == "1", Number(enabled))
            : throw new IOException($"{role} is no device of vfio");

    private static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
