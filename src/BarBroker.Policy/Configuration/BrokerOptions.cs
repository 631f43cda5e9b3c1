// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Net;
using BarBroker.Leases;

namespace BarBroker.Configuration;

/// <summary>Everything that can be configured, checked as a whole.</summary>
internal sealed record BrokerOptions
{
    public const string DefaultRuntimeDirectory = "/run/barbroker";
    public const string DefaultStateDirectory = "/var/lib/barbroker";

    /// <summary>Where the sockets are.</summary>
    public string RuntimeDirectory { get; init; } = DefaultRuntimeDirectory;

    /// <summary>In a directory that the command line names: a broker of the user's own, not the system's.</summary>
    public bool IsPersonal { get; init; }

    public string StateDirectory { get; init; } = DefaultStateDirectory;

    /// <summary>Who may open the client and the fd socket. Null: not configured.</summary>
    public string? ClientGroup { get; init; }

    /// <summary>Who may open the operator socket. Null: not configured.</summary>
    public string? OperatorGroup { get; init; }

    /// <summary>Where metrics are served; null: nowhere.</summary>
    public IPEndPoint? Metrics { get; init; }

    /// <summary>Where metrics are sent; null: nowhere.</summary>
    public Uri? OtlpEndpoint { get; init; }

    public LeaseOptions Leases { get; init; } = new();

    public JournalOptions Journal { get; init; } = new();

    /// <summary>What becomes of leases when the broker is restarted, where the service manager keeps its descriptors meanwhile.</summary>
    public RestartMode Restart { get; init; } = RestartMode.Preserve;

    public int ConnectionsPerUid { get; init; } = 64;

    /// <summary>The largest gRPC message that is received.</summary>
    public int MessageBytes { get; init; } = 64 * 1024;

    public ImmutableArray<DeviceEntry> Devices { get; init; } = [];

    public string ClientSocket => Path.Combine(RuntimeDirectory, "broker.sock");

    public string FdSocket => Path.Combine(RuntimeDirectory, "fd.sock");

    public string OperatorSocket => Path.Combine(RuntimeDirectory, "admin.sock");
}
