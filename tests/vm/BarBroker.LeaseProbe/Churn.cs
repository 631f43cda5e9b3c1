// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.LeaseProbe;

/// <summary>Many short leases, one after the other, each of which is used.</summary>
internal static class Churn
{
    // From one page to eight, so that holes of all these sizes come and go.
    private const ulong PageSize = 4096;
    private const int Sizes = 8;

    // Every so many leases the page of the last one is looked at once more, after its end.
    private const int LookAfter = 100;

    private static readonly Stopwatch _acquiring = new();
    private static readonly Stopwatch _mapping = new();
    private static readonly Stopwatch _releasing = new();

    public static async Task<int> RunAsync(BrokerClient client, string device, int bar, int count)
    {
        int errors = 0;
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
        {
            try
            {
                await UseAsync(client, LeaseRequest.OfSize(device, PageSize * (ulong)(1 + (i % Sizes)), bar), (ulong)i, lookAfter: i % LookAfter == 0);
            }
            catch (Exception exception) when (exception is IOException or BrokerException or InvalidDataException)
            {
                errors++;
                Console.WriteLine($"lease {i}: {exception.Message}");
            }
        }

        Console.WriteLine($"leases {count} errors {errors} seconds {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0}: "
            + $"acquire {_acquiring.Elapsed.TotalSeconds:0.0}, map and touch {_mapping.Elapsed.TotalSeconds:0.0}, release {_releasing.Elapsed.TotalSeconds:0.0}");
        return errors == 0 ? 0 : 1;
    }

    private static async Task UseAsync(BrokerClient client, LeaseRequest request, ulong seed, bool lookAfter)
    {
        _acquiring.Start();
        await using var lease = await client.AcquireAsync(request);
        _acquiring.Stop();
        _mapping.Start();
        using var memory = lease.Buffers[0].Map();
        // The first and the last word: each is a page fault of its own.
        ulong last = (memory.Length / sizeof(uint)) - 1;
        memory.Write32(0, (uint)seed);
        memory.Write32(last * sizeof(uint), ~(uint)seed);
        if (memory.Read32(0) != (uint)seed || memory.Read32(last * sizeof(uint)) != ~(uint)seed)
        {
            throw new InvalidDataException($"lease {lease.Id} reads other words than it wrote");
        }

        _mapping.Stop();
        _releasing.Start();
        var state = await lease.ReleaseAsync();
        _releasing.Stop();
        if (state != LeaseState.Ended)
        {
            throw new InvalidDataException($"lease {lease.Id} is {state} after its release");
        }

        if (lookAfter)
        {
            DemandGone(lease, memory);
        }
    }

    private static void DemandGone(Client.Lease lease, BufferMapping memory)
    {
        try
        {
            memory.CopyTo(0, new byte[sizeof(uint)]);
        }
        catch (LeaseLostException)
        {
            return;
        }

        throw new InvalidDataException($"lease {lease.Id} can be read after its release");
    }
}
