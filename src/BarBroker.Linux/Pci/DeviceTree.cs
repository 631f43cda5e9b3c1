// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Linux.Pci;

/// <summary>What drivers have made of a device: disks, network interfaces, nodes in /dev.</summary>
public static class DeviceTree
{
    // Links lead out of the tree, and round.
    private static readonly EnumerationOptions _below = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };

    public static ImmutableArray<DeviceNode> Of(string sysfsRoot, PciNode device)
    {
        string root = device.RealPath;
        return [.. Below(root), .. SharedNvmeDisks(sysfsRoot, root)];
    }

    /// <summary>
    /// A disk that several NVMe controllers may lead to is not below any of them, but in the subsystem, which has links to its controllers
    /// (nvme_init_subsystem in drivers/nvme/host/core.c).
    /// </summary>
    private static IEnumerable<DeviceNode> SharedNvmeDisks(string sysfsRoot, string root)
    {
        string subsystems = Path.Combine(sysfsRoot, "class/nvme-subsystem");
        if (!Directory.Exists(subsystems))
        {
            yield break;
        }

        foreach (string link in Directory.EnumerateFileSystemEntries(subsystems))
        {
            string subsystem = Resolve(link);
            bool leadsHere = Directory.EnumerateFileSystemEntries(subsystem).Any(entry => Resolve(entry).StartsWith(root + "/", StringComparison.Ordinal));
            foreach (var node in leadsHere ? Below(subsystem) : [])
            {
                yield return node;
            }
        }
    }

    private static IEnumerable<DeviceNode> Below(string root)
    {
        foreach (string directory in Directory.EnumerateDirectories(root, "*", _below))
        {
            if (new FileInfo(Path.Combine(directory, "subsystem")).LinkTarget is { } subsystem)
            {
                yield return new DeviceNode(directory, Path.GetFileName(subsystem), Path.GetFileName(directory), NodeName(directory), Read(directory, "dev"));
            }
        }
    }

    private static string Resolve(string path) => new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;

    private static string? NodeName(string directory) =>
        Read(directory, "uevent")?.Split('\n').FirstOrDefault(static line => line.StartsWith("DEVNAME=", StringComparison.Ordinal))?["DEVNAME=".Length..];

    private static string? Read(string directory, string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(directory, name)).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Not every device has each file, and one may go at any moment.
            return null;
        }
    }
}
