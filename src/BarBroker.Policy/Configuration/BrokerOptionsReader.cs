// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Net;
using System.Text;
using BarBroker.Leases;

namespace BarBroker.Configuration;

/// <summary>The sections of the configuration file, with their defaults and bounds. Devices are read by <see cref="DeviceEntryReader"/>.</summary>
internal static class BrokerOptionsReader
{
    /// <summary>The room that the kernel has for a socket's path, without the final zero (unix(7)).</summary>
    private const int LongestSocketPath = 107;

    private static readonly IPEndPoint DefaultMetrics = new(IPAddress.Loopback, 9464);

    public static BrokerOptions Read(ConfigNode root, ConfigurationFaults faults, string? runtimeDirectory)
    {
        var file = new ObjectReader(root, faults);
        string configuredRuntime = Directory(file, "runtimeDirectory") ?? BrokerOptions.DefaultRuntimeDirectory;
        string runtime = runtimeDirectory ?? configuredRuntime;
        string state = Directory(file, "stateDirectory")
            ?? (runtimeDirectory is null ? BrokerOptions.DefaultStateDirectory : Path.Combine(runtimeDirectory, "state"));
        if (Encoding.UTF8.GetByteCount(runtime) + "/broker.sock".Length > LongestSocketPath)
        {
            file.Fault("runtimeDirectory", $"{runtime} is too long: a socket's path has at most {LongestSocketPath} bytes");
        }

        var restart = RestartMode.Preserve;
        if (file.Text("restart") is { } text && !Enum.TryParse(text, ignoreCase: true, out restart) | text is not ("preserve" or "revoke"))
        {
            file.Fault("restart", $"\"{text}\" is not one of preserve, revoke");
        }

        var sockets = file.Section("sockets");
        var otlp = file.Section("otlp");
        var limits = file.Section("limits");
        var leases = Leases(file.Section("leases"), limits);
        var devices = DeviceEntryReader.Read(file);
        var options = new BrokerOptions
        {
            RuntimeDirectory = runtime,
            StateDirectory = state,
            IsPersonal = runtimeDirectory is not null,
            ClientGroup = sockets.Text("clientGroup"),
            OperatorGroup = sockets.Text("operatorGroup"),
            Metrics = Metrics(file.Section("metrics")),
            OtlpEndpoint = OtlpEndpoint(otlp),
            Leases = leases with { Rules = PolicyReader.Read(file, leases), Pools = PoolReader.Read(file, devices) },
            Journal = Journal(file.Section("journal")),
            Restart = restart,
            ConnectionsPerUid = limits.Number("connectionsPerUid", 64, 1, 65_536),
            MessageBytes = (int)limits.Size("messageBytes", 64 << 10, 4 << 10, 4 << 20),
            Devices = devices,
        };
        sockets.Finish();
        otlp.Finish();
        limits.Finish();
        file.Finish();
        return options;
    }

    private static string? Directory(ObjectReader file, string name)
    {
        string? path = file.Text(name);
        if (path is { Length: > 0 } && !Path.IsPathRooted(path))
        {
            file.Fault(name, $"\"{path}\" is not absolute; write it from / on");
        }

        return path;
    }

    private static IPEndPoint? Metrics(ObjectReader metrics)
    {
        bool enabled = metrics.Flag("enabled", true);
        var endpoint = DefaultMetrics;
        if (metrics.Text("address") is { } address)
        {
            // TryParse takes an address without a port, too, and calls the port 0.
            string port = address[(address.LastIndexOf(':') + 1)..];
            if (IPEndPoint.TryParse(address, out var parsed) && ushort.TryParse(port, CultureInfo.InvariantCulture, out ushort number) && number == parsed.Port
                && (parsed.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork || address.Contains("]:", StringComparison.Ordinal)))
            {
                endpoint = parsed;
            }
            else
            {
                metrics.Fault("address", $"\"{address}\" is no IP address with a port, such as 127.0.0.1:9464 or [::1]:9464");
            }
        }

        metrics.Finish();
        return enabled ? endpoint : null;
    }

    private static JournalOptions Journal(ObjectReader journal)
    {
        var defaults = new JournalOptions();
        var options = new JournalOptions
        {
            Enabled = journal.Flag("enabled", defaults.Enabled),
            MaxAge = journal.Duration("maxAge", defaults.MaxAge, TimeSpan.FromMinutes(1), TimeSpan.FromHours(87_600)),
            MaxBytes = journal.Size("maxBytes", defaults.MaxBytes, 1 << 20, 1ul << 40),
        };
        journal.Finish();
        return options;
    }

    private static Uri? OtlpEndpoint(ObjectReader otlp)
    {
        if (otlp.Text("endpoint") is not { } text)
        {
            return null;
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out var endpoint) && endpoint.Scheme is "http" or "https")
        {
            return endpoint;
        }

        otlp.Fault("endpoint", $"\"{text}\" is no http:// or https:// address");
        return null;
    }

    private static LeaseOptions Leases(ObjectReader leases, ObjectReader limits)
    {
        var defaults = new LeaseOptions();
        var longest = TimeSpan.FromDays(7);
        var shortest = TimeSpan.FromMilliseconds(100);
        var options = defaults with
        {
            MinTtl = leases.Duration("minTtl", defaults.MinTtl, shortest, longest),
            MaxTtl = leases.Duration("maxTtl", defaults.MaxTtl, shortest, longest),
            DefaultTtl = leases.Duration("defaultTtl", defaults.DefaultTtl, shortest, longest),
            TicketTtl = leases.Duration("ticketTtl", defaults.TicketTtl, shortest, TimeSpan.FromMinutes(10)),
            RevokeTimeout = leases.Duration("revokeTimeout", defaults.RevokeTimeout, shortest, TimeSpan.FromMinutes(10)),
            EndedLeasesKept = leases.Number("endedKept", defaults.EndedLeasesKept, 0, 1_000_000),
            Escalation = EscalationReader.Read(leases.Section("escalation")),
            MaxLeasesPerUid = limits.Number("leasesPerUid", defaults.MaxLeasesPerUid, 1, 1_000_000),
            MaxWaitingPerUid = limits.Number("waitingPerUid", defaults.MaxWaitingPerUid, 0, 1_000_000),
            WaitPatience = leases.Duration("waitPatience", defaults.WaitPatience, TimeSpan.Zero, longest),
            MaxBytesPerUid = limits.Size("bytesPerUid", defaults.MaxBytesPerUid, 4096, ulong.MaxValue),
        };
        if (options.MinTtl > options.MaxTtl)
        {
            leases.Fault(leases.Has("minTtl") ? "minTtl" : "maxTtl", $"minTtl ({Quantity.Format(options.MinTtl)}) is longer than maxTtl ({Quantity.Format(options.MaxTtl)})");
        }
        else if (options.DefaultTtl < options.MinTtl || options.DefaultTtl > options.MaxTtl)
        {
            leases.Fault("defaultTtl", $"{Quantity.Format(options.DefaultTtl)} is not between minTtl ({Quantity.Format(options.MinTtl)}) and maxTtl ({Quantity.Format(options.MaxTtl)})");
        }

        leases.Finish();
        return options;
    }
}
