// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>How to reach a broker.</summary>
public sealed record BrokerClientOptions
{
    /// <summary>Null: <c>$BARBROKER_RUNTIME_DIR</c>, else <c>/run/barbroker</c>.</summary>
    public string? RuntimeDirectory { get; init; }

    /// <summary>How long <see cref="Lease.DisposeAsync"/> waits for the broker's word that access is over. By default 5 seconds.</summary>
    public TimeSpan ReleaseTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a call other than a release may take. By default 30 seconds.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
