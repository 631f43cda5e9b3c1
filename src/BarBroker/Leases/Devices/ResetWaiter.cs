// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A caller that waits for a device to be reset.</summary>
internal sealed class ResetWaiter(int ended)
{
    /// <summary>How many leases end by it.</summary>
    public int Ended { get; } = ended;

    public TaskCompletionSource<int> Source { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
