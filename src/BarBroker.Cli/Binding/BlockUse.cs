// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>Whether the disks of a device are in use.</summary>
internal static class BlockUse
{
    public static IEnumerable<string> Reasons(SystemRoots roots, ImmutableArray<DeviceNode> nodes)
    {
        var blocks = nodes.Where(static node => node.Subsystem == "block").ToList();
        if (blocks.Count == 0)
        {
            return [];
        }

        var mounts = Mounts.Read(roots);
        var reasons = blocks.SelectMany(node => Reasons(roots, mounts, node)).ToList();
        if (reasons.Count == 0)
        {
            // Last, since a disk with a mounted partition is claimed, too, and the partition is the better reason.
            reasons.AddRange(blocks
                .Where(node => BlockDevice.IsClaimed(PathOf(roots, node)))
                .Select(node => $"{PathOf(roots, node)} is in use by the kernel, perhaps mounted in a container (`lsblk`, `findmnt --all`): end that first"));
        }

        return reasons;
    }

    private static IEnumerable<string> Reasons(SystemRoots roots, Mounts mounts, DeviceNode node)
    {
        string path = PathOf(roots, node);
        foreach (string point in mounts.PointsOf(node, path))
        {
            yield return $"{path} is mounted on {point}: `umount {point}`";
        }

        if (mounts.IsSwap(path))
        {
            yield return $"{path} is swap: `swapoff {path}`";
        }

        string holders = Path.Combine(node.Directory, "holders");
        foreach (string holder in Directory.Exists(holders) ? Directory.EnumerateFileSystemEntries(holders) : [])
        {
            yield return $"{path} is part of {NameOf(holder)}: stop that first (`dmsetup remove`, `vgchange -an`, `mdadm --stop`)";
        }
    }

    private static string PathOf(SystemRoots roots, DeviceNode node) => Path.Combine(roots.Dev, node.NodeName ?? node.Name);

    /// <summary>Device mapper's own name of a volume beside the kernel's: dm-0 (vg0-root).</summary>
    private static string NameOf(string holder)
    {
        string mapped = Path.Combine(holder, "dm/name");
        return File.Exists(mapped) ? $"{Path.GetFileName(holder)} ({File.ReadAllText(mapped).Trim()})" : Path.GetFileName(holder);
    }
}
