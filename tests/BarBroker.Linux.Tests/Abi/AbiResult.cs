// SPDX-License-Identifier: Apache-2.0

using System.Text.RegularExpressions;

namespace BarBroker.Linux.Tests.Abi;

/// <param name="Count">How many numbers were asked for.</param>
/// <param name="Differences">In words.</param>
/// <param name="Unknown">Names that the system's headers do not have.</param>
internal sealed record AbiResult(int Count, IReadOnlyList<string> Differences, IReadOnlyList<string> Unknown)
{
    /// <summary>Fails if anything differs, or is unknown and not in the list of macros and C types that are newer than old headers.</summary>
    public void AssertEqual(IReadOnlyCollection<string> mayBeUnknown)
    {
        Assert.NotEqual(0, Count);
        Assert.Empty(Differences);
        var unexpected = Unknown.Where(name => !mayBeUnknown.Any(known => Regex.IsMatch(name, $@"\b{known}\b"))).ToList();
        Assert.Empty(unexpected);
    }

    /// <summary>Makes the test a skipped one that names what was not compared, if there is anything.</summary>
    public void SkipIfUnknown()
    {
        if (Unknown.Count > 0)
        {
            Assert.Skip($"not compared, because the system's kernel headers are too old for it: {string.Join(", ", Unknown)}");
        }
    }
}
