// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Rpc;
using BarBroker.Wire;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace BarBroker.Journal;

/// <summary>
/// Around every call of the operator service: what changes something is written to the journal, with who, what about, why, and what came of it. A call that takes its
/// time is written when it begins, too. Calls that only look are not.
/// </summary>
internal sealed class OperatorActions(LeaseJournal journal) : Interceptor
{
    public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        var action = OperatorAction.Of(request);
        return action is null ? continuation(request, context) : RunAsync(action, request, context, continuation);
    }

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        var action = OperatorAction.Of(request);
        return action is null ? continuation(request, responseStream, context) : RunAsync(action, request, responseStream, context, continuation);
    }

    /// <summary>The caller has the right: from now on the call does something.</summary>
    public static void Accepted(ServerCallContext context)
    {
        if (context.UserState.TryGetValue(typeof(OperatorActions), out object? begin))
        {
            ((Action)begin)();
        }
    }

    private async Task<TResponse> RunAsync<TRequest, TResponse>(OperatorAction action, TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
        where TRequest : class
        where TResponse : class
    {
        var caller = Caller.Of(context);
        if (request is V1.ResetDeviceRequest)
        {
            Announce(action, caller, context);
        }

        try
        {
            var response = await continuation(request, context);
            action.Answered(response);
            Write(action, caller, action.Outcome);
            return response;
        }
        catch (Exception exception)
        {
            Failed(action, caller, exception);
            throw;
        }
    }

    private async Task RunAsync<TRequest, TResponse>(
        OperatorAction action, TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
        where TRequest : class
        where TResponse : class
    {
        var caller = Caller.Of(context);
        Announce(action, caller, context);
        try
        {
            await continuation(request, new CountingStream<TResponse>(responseStream, action), context);
            Write(action, caller, action.Outcome);
        }
        catch (Exception exception)
        {
            Failed(action, caller, exception);
            throw;
        }
    }

    private void Announce(OperatorAction action, Caller caller, ServerCallContext context) =>
        context.UserState[typeof(OperatorActions)] = (Action)(() => Write(action, caller, "begun"));

    private void Failed(OperatorAction action, Caller caller, Exception exception)
    {
        if (exception is LeaseException { Error: LeaseError.Denied } denied)
        {
            journal.Refused(caller.Owner, action.Method, denied);
            return;
        }

        Write(action, caller, exception switch
        {
            LeaseException refusal => $"refused: {refusal.Message}",
            OperationCanceledException or IOException => $"{action.Outcome}; the caller went away, which stops nothing",
            _ => "failed",
        });
    }

    private void Write(OperatorAction action, Caller caller, string outcome) => journal.Operator(new V1.HistoryEvent
    {
        Actor = caller.Owner.ToWire(),
        Action = action.Method,
        Device = action.Device,
        LeaseId = action.LeaseId,
        Detail = string.Join("; ", new[] { action.Subject, action.Comment, outcome }.Where(static part => part.Length > 0)),
    });

    private sealed class CountingStream<T>(IServerStreamWriter<T> inner, OperatorAction action) : IServerStreamWriter<T>
        where T : class
    {
        public WriteOptions? WriteOptions
        {
            get => inner.WriteOptions;
            set => inner.WriteOptions = value;
        }

        public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

        public Task WriteAsync(T message, CancellationToken cancellationToken)
        {
            action.Answered(message);
            return inner.WriteAsync(message, cancellationToken);
        }
    }
}
