// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Runtime.InteropServices;
using BarBroker.Client;

namespace BarBroker.LeaseProbe;

/// <summary>
/// A client as the library wants it: a work loop that writes to its memory and pulses. Signals tell it what to do, so that it can be started by anybody:
/// <code>
/// SIGUSR1   the loop stands still, while the process lives; and goes on at the next one
/// SIGUSR2   gives the lease back and ends
/// </code>
/// It says what happens to it, a line each: leased ID, hung, works, recalled REASON SECONDS DETAIL, lost REASON. With recall=acknowledge it acknowledges recalls, with recall=release it gives the lease back at once.
/// </summary>
internal sealed class Worker : IDisposable
{
    private static readonly TimeSpan _round = TimeSpan.FromMilliseconds(20);

    private readonly ManualResetEventSlim _mayWork = new(true);
    private readonly CancellationTokenSource _done = new();
    private readonly string _onRecall;

    private Worker(string onRecall) => _onRecall = onRecall;

    public static async Task<int> RunAsync(BrokerClient client, string device, ulong bytes, ReadOnlyMemory<string> options)
    {
        var values = options.ToArray().Select(option => option.Split('=')).ToDictionary(option => option[0], option => option[1]);
        var request = LeaseRequest.OfSize(device, bytes) with { Ttl = Seconds("ttl"), HangLimit = Seconds("hang"), Wait = Seconds("wait"), Priority = Number("priority") };
        await using var lease = await client.AcquireAsync(Number("bar") is { } bar ? request with { Buffers = [BufferSpec.OfSize(bytes, bar)] } : request);
        using var worker = new Worker(values.GetValueOrDefault("recall", "ignore"));
        return worker.Work(lease);

        TimeSpan? Seconds(string key) => values.TryGetValue(key, out string? text) ? TimeSpan.FromSeconds(double.Parse(text, CultureInfo.InvariantCulture)) : null;

        int? Number(string key) => values.TryGetValue(key, out string? text) ? int.Parse(text, CultureInfo.InvariantCulture) : null;
    }

    public void Dispose()
    {
        _mayWork.Dispose();
        _done.Dispose();
    }

    private int Work(Lease lease)
    {
        using var memory = lease.Buffers[0].Map();
        // By their numbers (signal(7)): .NET has no names for these two.
        using var toggle = PosixSignalRegistration.Create((PosixSignal)10, context => Handle(context, Toggle));
        using var end = PosixSignalRegistration.Create((PosixSignal)12, context => Handle(context, _done.Cancel));
        lease.Recalled += (_, recall) => Recalled(recall);
        lease.Lost += (_, lost) =>
        {
            Say($"lost {lost.Reason}");
            _done.Cancel();
        };
        Say($"leased {lease.Id}");
        try
        {
            for (ulong count = 1; !_done.IsCancellationRequested; count++)
            {
                memory.CopyFrom(0, BitConverter.GetBytes(count));
                lease.Pulse();
                _mayWork.Wait(_done.Token);
                _done.Token.WaitHandle.WaitOne(_round);
            }
        }
        catch (LeaseLostException)
        {
            // The broker takes first and tells after.
            _done.Token.WaitHandle.WaitOne();
        }
        catch (OperationCanceledException)
        {
            // Over while it stood still.
        }

        return 0;
    }

    private static void Handle(PosixSignalContext context, Action what)
    {
        context.Cancel = true;
        what();
    }

    private void Toggle()
    {
        if (_mayWork.IsSet)
        {
            _mayWork.Reset();
            Say("hung");
        }
        else
        {
            _mayWork.Set();
            Say("works");
        }
    }

    private void Recalled(LeaseRecalledEventArgs recall)
    {
        Say(string.Create(CultureInfo.InvariantCulture, $"recalled {recall.Reason} {recall.Remaining.TotalSeconds:0.###} {recall.Detail}"));
        if (_onRecall == "acknowledge")
        {
            recall.Acknowledge();
        }
        else if (_onRecall == "release")
        {
            _done.Cancel();
        }
    }

    private static void Say(string line) => Console.WriteLine(line);
}
