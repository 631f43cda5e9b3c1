// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Rpc;

/// <summary>Ends a set of leases by an operator's word and tells each as it comes to its end.</summary>
internal sealed class Endings(LeaseManager leases)
{
    /// <summary>Decides first, for all of them and without waiting, so that whoever asked may go away; then answers.</summary>
    /// <param name="grace">Zero: revoke at once.</param>
    /// <param name="begun">Told first how many there are.</param>
    /// <param name="wait">Until each is Ended or Stuck; else the answer is what was decided.</param>
    public async Task RunAsync(IReadOnlyList<string> ids, TimeSpan grace, string detail, bool wait, Func<LeaseInfo, Task> answer, CancellationToken cancellation, Func<int, Task>? begun = null)
    {
        var decided = new List<LeaseInfo>(ids.Count);
        foreach (string id in ids)
        {
            if (Decide(id, grace, detail) is { } lease)
            {
                decided.Add(lease);
            }
        }

        if (begun is not null)
        {
            await begun(decided.Count);
        }

        if (!wait)
        {
            foreach (var lease in decided)
            {
                await answer(lease);
            }

            return;
        }

        if (decided is [var only])
        {
            await answer(await leases.WaitEndedAsync(only.Id, cancellation));
            return;
        }

        await foreach (var ended in Task.WhenEach(decided.Select(lease => leases.WaitEndedAsync(lease.Id, cancellation))).WithCancellation(cancellation))
        {
            await answer(await ended);
        }
    }

    /// <summary>Null: it ended and was forgotten since it was listed.</summary>
    private LeaseInfo? Decide(string id, TimeSpan grace, string detail)
    {
        try
        {
            return grace > TimeSpan.Zero
                ? leases.Recall(id, grace, EndReason.Operator, detail)
                : leases.End(id, EndReason.Operator, detail);
        }
        catch (LeaseException refusal) when (refusal.Error == LeaseError.Ended)
        {
            return leases.Get(id);
        }
        catch (LeaseException refusal) when (refusal.Error == LeaseError.NotFound)
        {
            return null;
        }
    }
}
