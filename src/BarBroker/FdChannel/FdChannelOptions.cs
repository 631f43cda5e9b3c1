// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.FdChannel;

/// <summary>The bounds of the fd socket.</summary>
internal sealed record FdChannelOptions
{
    /// <summary>Connections of one uid at a time; one more is answered with an error and closed.</summary>
    public int ConnectionsPerUid { get; init; } = 64;

    /// <summary>Acquires of one connection that wait for their answers; one more is refused.</summary>
    public int AcquiresPerConnection { get; init; } = 128;

    /// <summary>Bytes of one request; a longer one is answered with an error and the connection closed.</summary>
    public int MessageBytes { get; init; } = 64 * 1024;
}
