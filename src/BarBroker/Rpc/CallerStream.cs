// SPDX-License-Identifier: Apache-2.0

using Grpc.Core;

namespace BarBroker.Rpc;

/// <summary>
/// The answers of a streaming call. Grpc.AspNetCore says that a call is over, because its caller went away, by an <see cref="InvalidOperationException"/>, sometimes
/// before the call's token is cancelled; here it is a cancellation, so that it is not taken for a fault.
/// </summary>
internal sealed class CallerStream<T>(IServerStreamWriter<T> inner) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        try
        {
            await inner.WriteAsync(message, cancellationToken);
        }
        catch (InvalidOperationException exception)
        {
            throw new OperationCanceledException("The caller went away.", exception);
        }
    }
}
