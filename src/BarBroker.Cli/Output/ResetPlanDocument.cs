// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>What a reset of a device would do.</summary>
/// <param name="Ends">Leases that live.</param>
/// <param name="Frees">Leases whose access could not be ended otherwise.</param>
internal sealed record ResetPlanDocument(
    string Device, string Way, string Detail, IReadOnlyList<string> Neighbours, IReadOnlyList<LeaseDocument> Ends, IReadOnlyList<LeaseDocument> Frees, uint Waiting)
{
    public static ResetPlanDocument From(V1.ResetDeviceResponse response)
    {
        var byLife = response.Plan.Leases.ToLookup(static lease => lease.State is V1.LeaseState.Revoking or V1.LeaseState.Stuck, LeaseDocument.From);
        return new ResetPlanDocument(
            response.Device.Name, Words.Of(response.Plan.Way), response.Plan.Detail, [.. response.Plan.Neighbours], [.. byLife[false]], [.. byLife[true]], response.Plan.Waiting);
    }

    /// <summary>For people.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"{Device}: {Detail}.";
        yield return Ends.Count switch
        {
            0 => "No living lease ends by it.",
            1 => "1 lease ends by it:",
            _ => $"{Ends.Count} leases end by it:",
        };
        foreach (var lease in Ends)
        {
            yield return Tables.PlanLine(lease);
        }

        if (Frees.Count > 0)
        {
            yield return $"{Words.Leases(Frees.Count)} whose access is not ended yet:";
        }

        foreach (var lease in Frees)
        {
            yield return Tables.PlanLine(lease);
        }

        if (Waiting > 0)
        {
            yield return $"{Waiting} {(Waiting == 1 ? "request that waits for it goes" : "requests that wait for it go")} on waiting.";
        }
    }
}
