// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>One cause for which a device grants no new leases.</summary>
internal sealed record CordonDocument(string Cause, string Comment)
{
    public static CordonDocument From(V1.Cordon cordon) => new(Words.Of(cordon.Cause), cordon.Comment);
}
