// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Cli.Diagnosis;

/// <summary>Something that the dma-buf export of some kernels is known to get wrong.</summary>
/// <param name="First">The first series that was seen to have it.</param>
/// <param name="Last">The last one that was seen to have it. Later ones were not looked at.</param>
/// <param name="Message">What happens.</param>
/// <param name="Remedy">What to do; null: the driver vfio-bar-lease works around it.</param>
internal sealed record KernelFault(Version First, Version Last, string Message, string? Remedy)
{
    private static readonly Version _linux72 = new(7, 2);
    private static readonly Version _linux73 = new(7, 3);

    /// <summary>As docs/kernel.md and kernel/README.md tell them.</summary>
    public static ImmutableArray<KernelFault> Known { get; } =
    [
        new(
            _linux72,
            _linux73,
            "a buffer of several ranges cannot be imported by a device behind an IOMMU: dma_buf_phys_vec_to_sgt() puts each range at the same address, and the importer gets EADDRINUSE; CPU mappings work",
            "Where other devices import buffers, lease one range a buffer (`--buffer` several times instead of several `--range`)."),
        new(_linux73, _linux73, "dma_buf_free_sgt() leaks the scatter list at each unmap by an importer", null),
    ];

    public bool IsIn(Version kernel) => First <= kernel && kernel <= Last;
}
