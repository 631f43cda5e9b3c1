// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>Told to every stream when the broker has ended its leases and closes its sockets.</summary>
internal sealed class Stopping : IDisposable
{
    private readonly CancellationTokenSource _source = new();

    public Stopping() => Token = _source.Token;

    public CancellationToken Token { get; }

    public static RpcException Refusal() => new(new Status(StatusCode.Unavailable, "The broker is shutting down."));

    public void Stop() => _source.Cancel();

    public void Dispose() => _source.Dispose();
}
