// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Cli.Binding;
using BarBroker.Configuration;
using BarBroker.Linux;
using BarBroker.Linux.Pci;
using BarBroker.Linux.Processes;
using ConfigurationFault = BarBroker.Configuration.ConfigurationFault;
using GetStatusResponse = BarBroker.V1.GetStatusResponse;

namespace BarBroker.Cli.Diagnosis;

/// <summary>What the checks go by: the system, its configuration, and the broker that runs or does not.</summary>
internal sealed record Host(SystemRoots Roots, string RuntimeDirectory, string ConfigurationFile)
{
    /// <summary>Null: it has faults.</summary>
    public BrokerOptions? Options { get; init; }

    public ImmutableArray<ConfigurationFault> Faults { get; init; } = [];

    /// <summary>Null: it does not answer this user's questions.</summary>
    public GetStatusResponse? Broker { get; init; }

    /// <summary>Why not.</summary>
    public string BrokerError { get; init; } = "";

    /// <summary>A broker is there, and the operator socket is not for this user.</summary>
    public bool IsBrokerHidden { get; init; }

    public Func<string, uint?> FindGroup { get; init; } = Users.FindGroup;

    public Func<string, uint?> FindUser { get; init; } = Users.FindUser;

    public Func<string, ImmutableArray<uint>> GroupsOf { get; init; } = Users.GroupsOf;

    /// <summary>What went wrong when metrics were asked for at a URL; null: nothing.</summary>
    public Func<string, Task<string?>> ScrapeError { get; init; } = static _ => Task.FromResult<string?>(null);

    public string Version { get; init; } = "";

    /// <summary>A broker in a directory of its own, for its own user.</summary>
    public bool IsPersonal => RuntimeDirectory != BrokerOptions.DefaultRuntimeDirectory;

    public ImmutableArray<VfioDeviceEntry> VfioDevices => [.. (Options?.Devices ?? []).OfType<VfioDeviceEntry>()];

    /// <summary>Who asks.</summary>
    public ProcessCredentials Caller => ProcessCredentials.Of("self", Roots.Proc) ?? new ProcessCredentials(Users.EffectiveUid, []);

    public PciNode Node(string address) => new(Roots.Sys, address);

    public bool HasDriver(string name) => Directory.Exists(Path.Combine(Roots.Sys, "bus/pci/drivers", name));

    /// <summary>The first line of a file of the kernel; null if it is not there.</summary>
    public static string? Read(string path)
    {
        try
        {
            return File.ReadLines(path).FirstOrDefault()?.Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public static bool HasEntries(string directory) => Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any();
}
