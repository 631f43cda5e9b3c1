// SPDX-License-Identifier: Apache-2.0

using System.Buffers;
using System.Text.RegularExpressions;
using BarBroker.Linux;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>The udev rules that bind devices at each boot, and when they are plugged in: one line a device.</summary>
/// <remarks>
/// A line sets driver_override while udev handles the device's event, which is before udev loads the module of that device's native driver (80-drivers.rules), so that
/// this driver does not take it. Where the native driver was there before - built in, loaded in the initramfs or for another device - barctl, which the line runs,
/// takes the device from it, unless it is in use. The ids are compared, since addresses may move when cards are added.
/// </remarks>
internal sealed partial class PersistentBindings(SystemRoots roots, string program)
{
    private const string Title = "# Written by barctl: `barctl device bind --persist` adds a line, `barctl device unbind --persist` removes it. Other changes are lost.";

    private static readonly SearchValues<char> _safe = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+");

    public string Path { get; } = System.IO.Path.Combine(roots.Etc, "udev/rules.d/70-barbroker.rules");

    public bool Contains(string address) => Read().Any(line => AddressOf(line) == address);

    /// <param name="driver">What it is bound to now.</param>
    /// <param name="asked">The driver that was asked for; null: chosen anew at each boot.</param>
    /// <exception cref="IOException">The line was not written.</exception>
    public void Add(PciNode device, string driver, string? asked)
    {
        string[] ids = device.Id.Split(':');
        foreach (string part in (string[])[driver, program, .. ids])
        {
            if (part.Length == 0 || part.AsSpan().ContainsAnyExcept(_safe))
            {
                throw new IOException($"'{part}' cannot be written into a udev rule: use names of letters, digits and / . _ - only");
            }
        }

        string choice = asked is null ? "" : $" --driver {asked}";
        string line = $"ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{device.Address}\", ATTR{{vendor}}==\"0x{ids[0]}\", ATTR{{device}}==\"0x{ids[1]}\", "
            + $"ATTR{{driver_override}}=\"{driver}\", RUN+=\"{program} device bind {device.Address}{choice}\"";
        Write([.. Lines().Where(other => AddressOf(other) != device.Address), line]);
    }

    /// <summary>Whether there was a line of the device.</summary>
    public bool Remove(string address)
    {
        if (!Contains(address))
        {
            return false;
        }

        Write([.. Lines().Where(line => AddressOf(line) != address)]);
        return true;
    }

    private string[] Lines()
    {
        string[] lines = Read();
        return lines is [] or [Title, ..]
            ? [.. lines.Skip(1).Where(static line => line.Length > 0)]
            : throw new IOException($"{Path} was not written by barctl; move it away, or add the device there by hand");
    }

    private string[] Read() => File.Exists(Path) ? File.ReadAllLines(Path) : [];

    private void Write(string[] lines)
    {
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
            if (lines.Length == 0)
            {
                File.Delete(Path);
                return;
            }

            Array.Sort(lines, StringComparer.Ordinal);
            AtomicFile.Replace(Path, string.Join('\n', [Title, .. lines, ""]), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException($"{Path} cannot be written: {exception.Message}", exception);
        }
    }

    private static string? AddressOf(string line) => KernelMatch().Match(line) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex("KERNEL==\"([^\"]*)\"")]
    private static partial Regex KernelMatch();
}
