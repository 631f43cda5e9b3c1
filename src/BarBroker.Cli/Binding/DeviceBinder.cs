// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>Puts one device after the other on a driver, or gives it back.</summary>
/// <param name="nodes">Of what is bound, given to the broker.</param>
/// <param name="load">Loads a module; null if it is loaded, else why not.</param>
internal sealed class DeviceBinder(SystemRoots roots, DriverSwitch drivers, Obstacles obstacles, PersistentBindings persistent, BrokerNodes nodes, Func<string, string?> load)
{
    private readonly DriverChoice _choice = new(drivers, load);

    /// <param name="driver">Null: the best there is.</param>
    /// <param name="persist">At each boot, too.</param>
    /// <param name="dryRun">Only look.</param>
    public BindingDocument Bind(BindingTarget target, string? driver, bool persist, bool dryRun) => Guard(target, device =>
    {
        string? before = device.Driver;
        string? note = null;
        string chosen = dryRun ? _choice.Foresee(driver) : _choice.Choose(driver, out note);
        bool done = before == chosen;
        if (!done && Refusal(target, device, obstacles.ToBind(device)) is { } refused)
        {
            return refused;
        }

        if (dryRun)
        {
            return Document(target, device, done ? "unchanged" : "planned", chosen, before) with { Warnings = Neighbours(device) };
        }

        if (!done)
        {
            drivers.Bind(device, chosen);
        }

        if (persist)
        {
            persistent.Add(device, chosen, driver);
        }

        return Document(target, device, done ? "unchanged" : "bound", device.Driver, before) with { Warnings = [.. Notes(note, device), .. Notes(nodes.Give(device)), .. Neighbours(device)] };
    });

    /// <param name="forget">Not at boots either, any more.</param>
    public BindingDocument Unbind(BindingTarget target, bool forget, bool dryRun) => Guard(target, device =>
    {
        string? before = device.Driver;
        // One that was put there by force, such as pci-stub, is as good as one of vfio.
        if (before is not null && !device.HasVfioDevice && device.DriverOverride != before)
        {
            return Document(target, device, "refused", before, before) with { Errors = [$"it has the driver {before}, which is not of vfio: there is nothing to give back"] };
        }

        if (Refusal(target, device, obstacles.ToRelease(device)) is { } refused)
        {
            return refused;
        }

        if (dryRun)
        {
            return Document(target, device, "planned", null, before);
        }

        drivers.Release(device);
        if (forget)
        {
            persistent.Remove(device.Address);
        }

        string? now = Return(device);
        var document = Document(target, device, before is null && now is null ? "unchanged" : "unbound", now, before);
        return document.Persistent ? document with { Warnings = [$"{device.Address} is bound to a vfio driver again at the next boot (`--persist` ends that)"] } : document;
    });

    /// <summary>Offers the device to the drivers that are loaded, then to the one whose module the system knows for it.</summary>
    private string? Return(PciNode device)
    {
        if (drivers.Probe(device) is null && device.ModuleAlias is { } alias && load(alias) is null)
        {
            drivers.Probe(device);
        }

        return device.Driver;
    }

    private BindingDocument? Refusal(BindingTarget target, PciNode device, ImmutableArray<string> reasons) =>
        reasons.IsEmpty ? null : Document(target, device, "refused", device.Driver, device.Driver) with { Errors = reasons };

    private BindingDocument Guard(BindingTarget target, Func<PciNode, BindingDocument> act)
    {
        var device = new PciNode(roots.Sys, target.Address);
        try
        {
            return device.Exists
                ? act(device)
                : Document(target, device, "refused", null, null) with { Errors = [$"there is no such PCI device; `lspci -D` lists those there are"] };
        }
        catch (IOException failure)
        {
            return Document(target, device, "failed", device.Driver, null) with { Errors = [failure.Message] };
        }
    }

    private BindingDocument Document(BindingTarget target, PciNode device, string result, string? driver, string? before) =>
        new(target.Name, target.Address, device.Id, result, driver, before, persistent.Contains(target.Address), [], []);

    private static IEnumerable<string> Notes(string? note) => note is null ? [] : [note];

    private static IEnumerable<string> Notes(string? note, PciNode device)
    {
        if (note is not null)
        {
            yield return note;
        }

        if (!device.HasVfioDevice)
        {
            yield return $"{device.Driver} has made no vfio device of {device.Address}: the broker cannot open it";
        }
    }

    private static ImmutableArray<string> Neighbours(PciNode device)
    {
        var blockers = Obstacles.Blockers(device);
        return blockers.IsEmpty
            ? []
            : [$"{device.Address} cannot be opened yet: its IOMMU group {device.Group} also holds {string.Join(", ", blockers)}; bind that, too: `barctl device bind {string.Join(' ', blockers.Select(static blocker => blocker.Address))}`"];
    }
}
