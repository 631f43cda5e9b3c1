// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux.Processes;

namespace BarBroker.Leases;

/// <summary>What descriptors are called while they are kept. Short: the service manager hands all names over in one variable of the environment, and the kernel takes 128 KiB for that (MAX_ARG_STRLEN).</summary>
internal static class KeptName
{
    public const string Board = "board";

    private const string SharedPrefix = "G/";
    private const char LeaseLetter = 'L';
    private const char DeviceLetter = 'D';
    private const char ClientLetter = 'C';

    /// <summary>All buffers of a lease have the same name; which is which their inodes tell.</summary>
    public static string OfLease(string id) => $"{LeaseLetter}{id.AsSpan(LeaseId.Prefix.Length)}";

    public static string OfClient(ProcessIdentity process) => string.Create(CultureInfo.InvariantCulture, $"{ClientLetter}{process.Pid}.{process.Key:x}");

    public static string OfDevice(string device, int generation, string role) => string.Create(CultureInfo.InvariantCulture, $"{DeviceLetter}{generation}/{role}/{device}");

    /// <summary>Of several devices.</summary>
    public static string OfShared(string role) => $"{SharedPrefix}{role}";

    public static string SharedRole(string name) => name[SharedPrefix.Length..];

    public static bool IsLease(string name) => name.Length > 1 && name[0] == LeaseLetter;

    public static bool IsClient(string name) => name.Length > 1 && name[0] == ClientLetter;

    public static bool IsShared(string name) => name.StartsWith(SharedPrefix, StringComparison.Ordinal);

    public static bool IsOurs(string name) => name == Board || IsLease(name) || IsClient(name) || IsShared(name) || TryDevice(name, out _, out _, out _);

    public static bool TryDevice(string name, out string device, out int generation, out string role)
    {
        (device, generation, role) = ("", 0, "");
        if (name.Length == 0 || name[0] != DeviceLetter || name[1..].Split('/') is not [var number, var part, var called] || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out generation))
            return false;
        (device, role) = (called, part);
        return true;
    }
}
