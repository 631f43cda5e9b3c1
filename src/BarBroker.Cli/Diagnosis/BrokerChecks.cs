// SPDX-License-Identifier: Apache-2.0

using System.Net;
using BarBroker.Cli.Output;
using BarBroker.Client;
using BarBroker.Configuration;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Cli.Diagnosis;

/// <summary>The configuration, who may open what, and the broker that runs.</summary>
internal static class BrokerChecks
{
    private const long FewFiles = 4096;

    public static async Task<IEnumerable<Finding>> RunAsync(Host host) =>
        [.. Configuration(host), .. Groups(host), .. Broker(host), .. Sockets(host), .. Limits(host), .. await MetricsAsync(host)];

    private static IEnumerable<Finding> Configuration(Host host)
    {
        if (host.Options is not { } options)
        {
            return host.Faults.Select(fault => Finding.Fail(
                "configuration",
                $"{host.ConfigurationFile}{(fault.Line > 0 ? $", line {fault.Line}" : "")}: {(fault.Path.Length > 0 ? $"{fault.Path}: " : "")}{fault.Message}",
                "Every key is explained in docs/configuration.md; `barctl policy check FILE` reads a file before it is put in place."));
        }

        var simulated = options.Devices.OfType<SimulatedDeviceEntry>().Select(static device => device.Name).ToArray();
        return options.Devices switch
        {
            [] => [Finding.Warn("configuration", $"{host.ConfigurationFile} has no devices: nothing can be leased", "Add to devices[]; deploy/broker.json is an example.")],
            _ when simulated.Length > 0 => [Finding.Warn("configuration", $"{host.ConfigurationFile} has no faults; {string.Join(", ", simulated)} {(simulated.Length == 1 ? "is" : "are")} simulated: memory, no hardware", "Replace them by kind vfio where hardware is to be leased.")],
            _ => [Finding.Ok("configuration", $"{host.ConfigurationFile} has no faults")],
        };
    }

    private static IEnumerable<Finding> Groups(Host host)
    {
        // Without a group named, a broker in a directory of its own has sockets for its own user only (SocketAccess of the daemon).
        if (host.Options is { } options && !(host.IsPersonal && options.ClientGroup is null))
        {
            yield return Group(host, options.ClientGroup ?? "barbroker", "take leases", "sockets.clientGroup");
        }

        if (host.Options is { } alsoOptions && !(host.IsPersonal && alsoOptions.OperatorGroup is null))
        {
            yield return Group(host, alsoOptions.OperatorGroup ?? "barbroker-admin", "operate the broker", "sockets.operatorGroup");
        }
    }

    private static Finding Group(Host host, string name, string purpose, string key)
    {
        if (host.FindGroup(name) is not { } group)
        {
            return Finding.Fail("groups", $"the group {name} does not exist, and the broker does not start without it", $"`groupadd --system {name}`, or name another one in {key}.");
        }

        var caller = host.Caller;
        return caller.Uid == 0 || caller.Groups.Contains(group)
            ? Finding.Ok("groups", $"the group {name} exists, and this user may {purpose}")
            : Finding.Warn("groups", $"the group {name} exists, and this user (uid {caller.Uid}) is not in it, so it may not {purpose}", $"`usermod -aG {name} USER`, and log in again, if it should.");
    }

    private static IEnumerable<Finding> Broker(Host host)
    {
        if (host.Broker is not { } status)
        {
            yield return host.IsBrokerHidden
                ? Finding.Warn("broker", $"a broker is there, and does not tell this user how it is: {host.BrokerError}", "Run this as root, or as a member of the operators' group.")
                : Finding.Fail("broker", $"no broker answers: {host.BrokerError}", "Start barbrokerd, and read its log if it ends. `--runtime-dir` or $BARBROKER_RUNTIME_DIR says where else its sockets are.");
            yield break;
        }

        yield return status.Version == host.Version
            ? Finding.Ok("broker", $"the broker (process {status.Pid}) answers, and is version {status.Version} like barctl")
            : Finding.Warn("broker", $"the broker (process {status.Pid}) is version {status.Version}, and barctl {host.Version}", "Restart the broker after an upgrade, or use the barctl that came with it.");
        if (status.Stuck > 0)
        {
            yield return Finding.Fail("stuck", $"{status.Stuck} leases are stuck: their end is decided and not confirmed, and their ranges are out of use", "`barctl lease list` shows who holds them; docs/operations.md, BarBrokerRevokeStuck, what to do.");
        }

        switch (status.Journal)
        {
            case null:
                break;
            case { Problem.Length: > 0 } kept:
                yield return Finding.Fail(
                    "journal",
                    $"the journal {kept.Path} is not written: {kept.Problem}; {kept.Waiting} entries wait, {kept.Lost} are lost",
                    "Leases go on meanwhile; mend what the reason names. docs/operations.md, BarBrokerJournalFails, tells more.");
                break;
            case { Unproven: > 0 } kept:
                yield return Finding.Warn(
                    "journal",
                    $"the journal {kept.Path} has {kept.Unproven} leases of before the restart without an end: their devices are not configured any more, and nothing proves that access is over",
                    "Configure those devices again, or restart the machine; the broker's log names them. docs/operations.md, Restarts, tells more.");
                break;
            case var kept:
                yield return Finding.Ok("journal", $"the journal {kept.Path} is written");
                break;
        }
    }

    private static IEnumerable<Finding> Sockets(Host host)
    {
        if (host.Broker is null && !host.IsBrokerHidden)
        {
            yield break;
        }

        foreach (string path in new[] { BrokerPaths.ClientSocket(host.RuntimeDirectory), BrokerPaths.FdSocket(host.RuntimeDirectory), BrokerPaths.OperatorSocket(host.RuntimeDirectory) })
        {
            var owner = FileOwner.Of(path);
            yield return owner switch
            {
                null => Finding.Fail("sockets", $"{path} is not there, though the broker runs", "Somebody has removed it, or mounted something over its directory; restart the broker."),
                { Mode: var mode } when (mode & 0b111) != 0 => Finding.Fail("sockets", $"{path} ({owner}) is open to everybody", $"`chmod o-rwx {path}`, and find out who changed it."),
                _ when !owner.Allows(host.Caller) => Finding.Warn("sockets", $"{path} ({owner}) is not for this user", "See the check groups."),
                _ => Finding.Ok("sockets", $"{path} is there ({owner})"),
            };
        }
    }

    private static IEnumerable<Finding> Limits(Host host)
    {
        string process = host.Broker is { } status ? $"{status.Pid}" : "self";
        string whose = host.Broker is null ? "this shell" : "the broker";
        if (ProcessLimits.Soft(ProcessLimits.LockedMemory, process, host.Roots.Proc) is { } locked)
        {
            yield return Finding.Ok("memlock", $"{whose} may lock {(locked == long.MaxValue ? "any amount of memory" : Words.Bytes((ulong)locked))}; the broker needs none, since it maps nothing for devices to reach");
        }

        if (ProcessLimits.Soft(ProcessLimits.OpenFiles, process, host.Roots.Proc) is { } files && host.Broker is not null)
        {
            yield return files >= FewFiles
                ? Finding.Ok("files", $"the broker may open {files} files")
                : Finding.Warn("files", $"the broker may open only {files} files, and each buffer of a lease, each connection and each client process takes one", "LimitNOFILE=1048576 in its service.");
        }
    }

    private static async Task<IEnumerable<Finding>> MetricsAsync(Host host)
    {
        var findings = new List<Finding>();
        if (host.Options?.Metrics is { } address && !IPAddress.IsLoopback(address.Address))
        {
            findings.Add(Finding.Warn("metrics", $"metrics are served on {address}, to everybody who can reach that", "Set metrics.address to 127.0.0.1:9464, or keep others out by a firewall."));
        }

        if (host.Broker is { MetricsUrl.Length: > 0 } status)
        {
            findings.Add(await host.ScrapeError(status.MetricsUrl) is { } error
                ? Finding.Fail("metrics", $"{status.MetricsUrl} does not answer: {error}", "See metrics.address in docs/configuration.md, and whether a firewall or a network namespace is in between.")
                : Finding.Ok("metrics", $"{status.MetricsUrl} answers"));
        }

        return findings;
    }
}
