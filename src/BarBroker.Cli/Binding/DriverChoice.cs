// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>Which driver a device goes to.</summary>
/// <param name="load">Loads a module; null if it is loaded, else why not.</param>
internal sealed class DriverChoice(DriverSwitch drivers, Func<string, string?> load)
{
    /// <summary>Lets each buffer be revoked and mapped (kernel/README.md).</summary>
    public const string Preferred = "vfio-bar-lease";

    public const string Fallback = "vfio-pci";

    private const string TypeOneIommu = "vfio_iommu_type1";

    /// <summary>A driver that is loaded: the one asked for, or the preferred one where it is installed, else vfio-pci.</summary>
    /// <param name="note">Why it is not the preferred one, where that is there and broken.</param>
    /// <exception cref="IOException">There is none.</exception>
    public string Choose(string? asked, out string? note)
    {
        note = null;
        string? broken = asked is null ? Ensure(Preferred) : null;
        string driver = asked ?? (broken is null ? Preferred : Fallback);
        if (Ensure(driver) is { } failure)
        {
            throw new IOException($"the kernel has no PCI driver {driver}, and its module does not load ({failure}): install it");
        }

        if (broken?.Contains("not found", StringComparison.Ordinal) is false)
        {
            note = $"{Preferred} cannot be loaded, so {Fallback} is used: {broken}";
        }

        LoadIommu();
        return driver;
    }

    /// <summary>As <see cref="Choose"/> would, going by what is loaded already.</summary>
    public string Foresee(string? asked) => asked ?? (drivers.IsLoaded(Preferred) ? Preferred : Fallback);

    private string? Ensure(string driver)
    {
        if (drivers.IsLoaded(driver))
        {
            return null;
        }

        string? failure = load(driver);
        return drivers.IsLoaded(driver) ? null : failure ?? $"the module {driver} registers no PCI driver of that name";
    }

    /// <summary>Where the kernel has iommufd instead, the module may be missing, and nobody misses it.</summary>
    private void LoadIommu() => load(TypeOneIommu);
}
