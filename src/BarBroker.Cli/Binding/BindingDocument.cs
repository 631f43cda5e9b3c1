// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Binding;

/// <summary>What became of one device.</summary>
/// <param name="Device">As it was named.</param>
/// <param name="Address">Empty where the name is not known.</param>
/// <param name="Id">Vendor and device.</param>
/// <param name="Result">bound, unbound, unchanged, planned (a dry run), refused, failed.</param>
/// <param name="Driver">Now, or as planned; null: none.</param>
/// <param name="PreviousDriver">Before; null: none.</param>
/// <param name="Persistent">Whether it is bound at each boot.</param>
internal sealed record BindingDocument(
    string Device,
    string Address,
    string Id,
    string Result,
    string? Driver,
    string? PreviousDriver,
    bool Persistent,
    IReadOnlyList<string> Warnings,
    IReadOnlyList<string> Errors)
{
    public string Line()
    {
        string name = Device == Address ? $"{Address} ({Id})" : $"{Device} ({Address}, {Id})";
        string before = PreviousDriver ?? "no driver";
        string now = Driver ?? "no driver";
        string boot = Persistent ? ", at each boot, too" : "";
        return Result switch
        {
            "bound" => $"{name} bound to {now}, was with {before}{boot}",
            "unbound" => Driver is null ? $"{name} unbound from {before}; no driver that is loaded takes it{boot}" : $"{name} given back to {now}, was with {before}{boot}",
            "planned" => $"{name} would go from {before} to {now}",
            _ => $"{name} stays with {now}{boot}",
        };
    }
}
