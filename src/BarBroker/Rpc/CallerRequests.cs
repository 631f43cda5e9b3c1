// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>The messages of a streaming call, with the same translation as <see cref="CallerStream{T}"/>.</summary>
internal sealed class CallerRequests<T>(IAsyncStreamReader<T> inner) : IAsyncStreamReader<T>
{
    public T Current => inner.Current;

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        try
        {
            return await inner.MoveNext(cancellationToken);
        }
        catch (InvalidOperationException exception)
        {
            throw new OperationCanceledException("The caller went away.", exception);
        }
    }
}
