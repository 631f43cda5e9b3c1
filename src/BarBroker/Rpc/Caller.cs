// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Leases;
using BarBroker.Processes;
using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>Who is at the other end of a connection, and which socket it came by; a feature of the connection.</summary>
/// <param name="Process">The watched process; null where nothing can be acquired.</param>
internal sealed record Caller(SocketKind Socket, LeaseOwner Owner, ClientProcess? Process)
{
    public uint Uid => Owner.Uid;

    public static Caller Of(ServerCallContext context) => Of(context.GetHttpContext());

    /// <exception cref="InvalidOperationException">The connection did not come through a <see cref="ConnectionGate"/>.</exception>
    public static Caller Of(HttpContext context) =>
        context.Features.Get<Caller>() ?? throw new InvalidOperationException("A connection without a caller.");

    /// <summary>For the detail of what it ends.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"uid {Owner.Uid}, process {Owner.Pid} ({Owner.Comm})");
}
