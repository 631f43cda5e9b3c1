// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>Finds out by trying what a device that was just opened, and of which nobody holds a buffer, can do.</summary>
/// <remarks>
/// The numbers of the features that revoke and that set the memory attribute are not settled: the kernel may have something else under them. So
/// <list type="bullet">
/// <item>numbers that do have a settled meaning are never tried (<see cref="VfioFeatureNumbers.LastSettled"/>);</item>
/// <item>a number must answer a probe as something that can be set and not got, which changes nothing;</item>
/// <item>then a request with a descriptor that does not exist must be refused, which anything that checks its payload does;</item>
/// <item>then it must do its work on scratch buffers of this probe's own;</item>
/// <item>a number that takes a request and does not do that is reported as misbehaved: the device is closed, which undoes what a feature did to an open
/// device, and opened again without trying it.</item>
/// </list>
/// </remarks>
internal sealed class VfioProbe(IProbedDevice device, ImmutableArray<int> revokeCandidates, ImmutableArray<int> attributeCandidates, ulong pageSize)
{
    private const uint NonCached = 0;
    private const uint WriteCombining = 1;
    private const uint NoSuchAttribute = 0x7fff_ffff;

    private readonly List<string> _notes = [];
    private readonly List<int> _misbehaved = [];
    private bool _mappable;

    public VfioCapabilities Run()
    {
        var present = device.Probe(VfioDeviceFile.DmaBufFeature, VfioFeatureUse.Get);
        if (present is Errno.ENOTTY or Errno.EINVAL or Errno.EOPNOTSUPP)
        {
            return Nothing($"the kernel does not export BARs of this device as dmabufs (VFIO_DEVICE_FEATURE_DMA_BUF: {present}); that needs Linux 6.19 or newer with CONFIG_VFIO_PCI_DMABUF");
        }

        if (present is not Errno.None)
        {
            throw new LinuxException("VFIO_DEVICE_FEATURE(PROBE DMA_BUF)", device.ToString()!, present);
        }

        var bars = FindBars();
        if (bars.IsEmpty)
        {
            return Nothing(_notes.Count == 0 ? $"the device has no memory BAR of at least {pageSize} bytes" : string.Join("; ", _notes));
        }

        return Examine(bars);
    }

    private VfioCapabilities Examine(ImmutableArray<BarDescription> bars)
    {
        int scratchBar = bars.MinBy(static bar => bar.Size)!.Index;
        using (var scratch = ExportScratch(scratchBar))
        {
            _mappable = CanMap(scratch);
        }

        int? revoke = FirstThatBehaves(revokeCandidates, number => Revokes(number, scratchBar));
        int? attribute = !_mappable ? null : FirstThatBehaves(
            [.. attributeCandidates.Where(number => number != revoke)], number => SetsAttribute(number, scratchBar));
        _notes.Insert(0, Explain(revoke, _mappable, revokeCandidates));
        return new VfioCapabilities(
            revoke is null ? RevocationDomain.Device : RevocationDomain.Selective, string.Join("; ", _notes), bars, revoke, attribute, [.. _misbehaved])
        { IsMappable = _mappable };
    }

    /// <summary>What was found out, in words.</summary>
    public static string Explain(int? revoke, bool isMappable, ImmutableArray<int> tried)
    {
        string revokes = revoke is { } feature
            ? $"the kernel revokes single buffers (feature {feature}, tried out when the device was opened)"
            : $"the kernel cannot revoke a single buffer ({(tried.IsEmpty ? "no feature was to be tried" : $"none of the features {string.Join(", ", tried)} does it")}): closing the device ends all its buffers together";
        return $"{revokes}; {(isMappable ? "processes can map the buffers" : "the kernel does not let processes map the buffers; only other devices' drivers can import them")}";
    }

    private ImmutableArray<BarDescription> FindBars()
    {
        var found = ImmutableArray.CreateBuilder<BarDescription>();
        for (int index = 0; index <= 5; index++)
        {
            var region = device.GetRegion(index);
            if (!region.IsMappable || region.Size < pageSize)
            {
                continue;
            }

            try
            {
                ExportScratch(index).Dispose();
                found.Add(new BarDescription(index, region.Size));
            }
            catch (LinuxException exception) when (exception.Errno is Errno.EINVAL or Errno.ENODEV or Errno.EOPNOTSUPP)
            {
                _notes.Add($"BAR {index} cannot be exported ({exception.Errno})");
            }
        }

        return found.ToImmutable();
    }

    private int? FirstThatBehaves(ImmutableArray<int> candidates, Func<int, bool> behaves)
    {
        foreach (int number in candidates)
        {
            if (number > VfioFeatureNumbers.LastSettled
                && device.Probe(number, VfioFeatureUse.Set) is Errno.None
                && device.Probe(number, VfioFeatureUse.Get) is Errno.EINVAL
                && behaves(number))
            {
                return number;
            }
        }

        return null;
    }

    private bool Revokes(int number, int bar)
    {
        using var nothing = new FileDescriptor(-1);
        var refusal = device.Revoke(number, nothing);
        if (refusal is not (Errno.EBADF or Errno.EINVAL))
        {
            return Misbehaved(number, tookIt: refusal is Errno.None);
        }

        using var scratch = ExportScratch(bar);
        using var bystander = ExportScratch(bar);
        var first = device.Revoke(number, scratch);
        if (first is not Errno.None)
        {
            return Misbehaved(number, tookIt: false);
        }

        bool gone = device.Revoke(number, scratch) is Errno.EBADFD && !CanMap(scratch);
        // What was not to be revoked is as it was: not dead, and of a kernel that maps buffers, still mappable.
        bool selective = (!_mappable || CanMap(bystander)) && device.Revoke(number, bystander) is Errno.None;
        return gone && selective ? true : Misbehaved(number, tookIt: true);
    }

    private bool SetsAttribute(int number, int bar)
    {
        using var scratch = ExportScratch(bar);
        var unknown = device.SetMemoryAttribute(number, scratch, NoSuchAttribute);
        if (unknown is not Errno.ENOENT)
        {
            return Misbehaved(number, tookIt: unknown is Errno.None);
        }

        bool works = device.SetMemoryAttribute(number, scratch, WriteCombining) is Errno.None && CanMap(scratch)
            && device.SetMemoryAttribute(number, scratch, NonCached) is Errno.None && CanMap(scratch);
        return works || Misbehaved(number, tookIt: true);
    }

    private bool Misbehaved(int number, bool tookIt)
    {
        if (tookIt)
        {
            _misbehaved.Add(number);
        }

        return false;
    }

    private FileDescriptor ExportScratch(int bar) => device.Export(bar, pageSize);

    private bool CanMap(FileDescriptor buffer) => device.CanMap(buffer, pageSize);

    private static VfioCapabilities Nothing(string reason) => new(RevocationDomain.None, reason, [], null, null, []);
}
