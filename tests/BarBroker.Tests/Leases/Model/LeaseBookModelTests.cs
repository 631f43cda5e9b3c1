// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using CsCheck;

namespace BarBroker.Tests.Leases.Model;

/// <summary>
/// Random histories against the model. STEPS in the environment says how many operations; a failure prints the shortest history found and the seed. REPLAY runs the one
/// history that it holds, as it was printed, and prints what there is after each step.
/// </summary>
public sealed class LeaseBookModelTests
{
    /// <summary>So many reach everything that can happen.</summary>
    private const int DefaultSteps = 30_000;

    private const int MaxLength = 120;

    [Fact]
    public void History_Random_AgreesWithTheModel()
    {
        if (Environment.GetEnvironmentVariable("REPLAY") is { } text)
        {
            if (Run(Operation.Parse(text), new Tally(), Console.Error.WriteLine) is { } failure)
                throw failure;
            return;
        }

        long wanted = long.TryParse(Environment.GetEnvironmentVariable("STEPS"), CultureInfo.InvariantCulture, out long steps) ? steps : DefaultSteps;
        long done = 0;
        var watch = Stopwatch.StartNew();
        var tally = new Tally();

        // The average history is half as long as the longest.
        while (done < wanted)
        {
            Operation.History(MaxLength).Sample(
                history =>
                {
                    Interlocked.Add(ref done, history.Length);
                    if (Run(history, tally) is { } failure)
                        throw Explain(history, failure);
                },
                iter: Math.Max(1, (wanted - done) / (MaxLength / 2)),
                threads: 1);
        }

        // A history that never gets there proves nothing of it.
        Assert.True(wanted < DefaultSteps || !tally.Missing.Any(), $"what never happened: {string.Join(", ", tally.Missing)}; what did: {tally}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{done} operations in {watch.Elapsed.TotalSeconds:0} s, {done / watch.Elapsed.TotalSeconds:0} a second: {tally}");
    }

    private static Exception? Run(IReadOnlyList<Operation> history, Tally tally, Action<string>? print = null)
    {
        try
        {
            using var world = new ModelWorld(tally);
            foreach (Operation operation in history)
            {
                print?.Invoke($"{operation}");
                try
                {
                    world.Step(operation);
                }
                finally
                {
                    print?.Invoke(world.ToString());
                }
            }

            world.Finish();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    /// <summary>Leaves out all that is not needed for a failure.</summary>
    private static InvalidOperationException Explain(Operation[] history, Exception failure)
    {
        List<Operation> rest = [.. history];
        for (int chunk = rest.Count / 2; chunk > 0; chunk /= 2)
        {
            for (int at = 0; at + chunk <= rest.Count;)
            {
                List<Operation> shorter = [.. rest.Take(at), .. rest.Skip(at + chunk)];
                if (Run(shorter, new Tally()) is { } still)
                    (rest, failure) = (shorter, still);
                else
                    at += chunk;
            }
        }

        return new InvalidOperationException($"{failure.Message}\nafter these {rest.Count} operations:\n    {string.Join(",\n    ", rest)}\n{failure}");
    }
}
