// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.Bench;

/// <summary>
/// How long one thing takes: a lease from the request to the fd in hand, its end from the operator's word to the proof, with the buffer mapped. Beside it what gRPC asks for
/// without any work.
/// </summary>
/// <remarks>
/// Who shares a processor with whom is the scheduler's choice, made early in the life of processes that take turns, and kept: a hand-over to a thread on another
/// processor takes about three times as long as one on the same. Nothing is pinned, neither here nor in bare.c, because nobody pins a broker; instead both are started
/// anew many times in turn, and the median over the starts is told.
/// </remarks>
internal static class Latency
{
    private const ulong Size = 65536;
    private const int Warmup = 500;
    private static readonly string[] _names = ["acquire_to_fd", "acquire_between_calls", "revoke_to_gone", "revoke_nothing", "empty_call"];

    /// <summary>Broker, client and the bare operation are started anew for each turn.</summary>
    public static IEnumerable<Figure> Measure(string daemon, string bare, int starts, int rounds)
    {
        string count = rounds.ToString(CultureInfo.InvariantCulture);
        var ours = _names.ToDictionary(name => name, _ => new Samples(starts));
        Dictionary<string, Samples> kernel = new()
        {
            ["acquire_to_fd"] = new(starts),
            ["acquire_between_calls"] = new(starts),
            ["revoke_to_gone"] = new(starts),
            ["round_trip"] = new(starts),
        };
        for (int start = 0; start < starts; start++)
        {
            Add(kernel, Measured.By(bare, count, Size.ToString(CultureInfo.InvariantCulture)));
            using var broker = new Broker(daemon);
            Add(ours, Measured.By(Environment.ProcessPath!, "latency", broker.RuntimeDirectory, count));
        }

        foreach (string name in _names)
        {
            yield return Figure.Of(name, "µs", ours[name], kernel.GetValueOrDefault(name, kernel["round_trip"]));
        }
    }

    /// <summary>In a process of its own, which is the client and the operator.</summary>
    public static async Task RunAsync(string runtimeDirectory, int rounds)
    {
        await using var client = await BrokerClient.ConnectAsync(new BrokerClientOptions { RuntimeDirectory = runtimeDirectory });
        using var channel = Channels.Operator(runtimeDirectory);
        var operators = new OperatorService.OperatorServiceClient(channel);
        Samples acquire = new(rounds), revoke = new(rounds), nothing = new(rounds), empty = new(rounds);
        for (int i = -Warmup; i < rounds; i++)
        {
            if (i == 0)
            {
                acquire.Clear();
                revoke.Clear();
                nothing.Clear();
                empty.Clear();
            }

            await LiveAndDieAsync(client, operators, acquire, revoke);

            long begin = Stopwatch.GetTimestamp();
            using var call = operators.Revoke(new RevokeRequest { Selector = new LeaseSelector { Device = "none" } });
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
            }

            nothing.AddSince(begin);

            begin = Stopwatch.GetTimestamp();
            await operators.ListLeasesAsync(new OperatorListLeasesRequest());
            empty.AddSince(begin);
        }

        Console.WriteLine(Measured.Line("acquire_between_calls", acquire));
        Console.WriteLine(Measured.Line("acquire_to_fd", await AcquireInARowAsync(client, rounds)));
        Console.WriteLine(Measured.Line("revoke_to_gone", revoke));
        Console.WriteLine(Measured.Line("revoke_nothing", nothing));
        Console.WriteLine(Measured.Line("empty_call", empty));
    }

    /// <summary>The same with nothing else between: neither the broker's nor the client's code has to be brought back into the processor's caches.</summary>
    private static async Task<Samples> AcquireInARowAsync(BrokerClient client, int rounds)
    {
        const int Row = 100;
        var samples = new Samples(rounds);
        var leases = new List<Client.Lease>(Row);
        for (int i = 0; i < rounds; i += Row)
        {
            for (int j = 0; j < Row; j++)
            {
                long begin = Stopwatch.GetTimestamp();
                leases.Add(await client.AcquireAsync(LeaseRequest.OfSize("sim0", Size)));
                samples.AddSince(begin);
            }

            foreach (var lease in leases)
            {
                await lease.DisposeAsync();
            }

            leases.Clear();
        }

        return samples;
    }

    private static async Task LiveAndDieAsync(BrokerClient client, OperatorService.OperatorServiceClient operators, Samples acquire, Samples revoke)
    {
        long begin = Stopwatch.GetTimestamp();
        await using var lease = await client.AcquireAsync(LeaseRequest.OfSize("sim0", Size));
        acquire.AddSince(begin);

        using var mapping = lease.Buffers[0].Map(writable: true);
        mapping.CopyFrom(0, [1]);
        begin = Stopwatch.GetTimestamp();
        using var call = operators.Revoke(new RevokeRequest { LeaseIds = { lease.Id } });
        bool answered = await call.ResponseStream.MoveNext(CancellationToken.None);
        revoke.AddSince(begin);
        if (!answered || call.ResponseStream.Current.Lease.State != LeaseState.Ended)
        {
            throw new InvalidOperationException($"lease {lease.Id} was not proven to be over");
        }
    }

    private static void Add(Dictionary<string, Samples> to, Dictionary<string, double> figures)
    {
        foreach (var (name, samples) in to)
        {
            samples.Add(figures[name]);
        }
    }
}
