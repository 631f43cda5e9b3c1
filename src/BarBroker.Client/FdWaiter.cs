// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>One acquire that was sent, or is about to be, and not yet answered.</summary>
internal sealed class FdWaiter(string requestId, LeaseRequest request, long asked) : TaskCompletionSource<Lease>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string RequestId { get; } = requestId;

    public LeaseRequest Request { get; } = request;

    /// <summary>A time stamp from before the lease was asked for.</summary>
    public long Asked { get; } = asked;

    /// <summary>Completes when the broker has answered, also where the caller was gone before, or when it never will.</summary>
    public Task Answered => _answered.Task;

    public void SetAnswered() => _answered.TrySetResult();
}
