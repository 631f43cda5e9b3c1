// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>What it costs to have a range from those who hold it.</summary>
/// <param name="Weight">The less the better; 0 for one that goes anyway.</param>
/// <param name="Age">Grows with each grant: of two that weigh the same, the one with the larger number is the younger, and to be preferred.</param>
internal readonly record struct HolderCost(int Weight, ulong Age)
{
    /// <summary>It cannot be had.</summary>
    public static HolderCost Never { get; } = new(-1, 0);

    /// <summary>There is nobody who would have to go.</summary>
    public static HolderCost None { get; } = new(0, ulong.MaxValue);

    public bool IsNever => Weight < 0;

    public bool IsLessThan(HolderCost other) => Weight < other.Weight || (Weight == other.Weight && Age > other.Age);

    /// <summary>Of both together.</summary>
    public HolderCost Plus(HolderCost other) => new(Weight + other.Weight, Math.Min(Age, other.Age));
}
