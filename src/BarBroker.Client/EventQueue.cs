// SPDX-License-Identifier: Apache-2.0

using System.Runtime.ExceptionServices;
using System.Threading.Channels;

namespace BarBroker.Client;

/// <summary>Runs the application's handlers one after the other, away from the loops that the broker's messages come on.</summary>
internal sealed class EventQueue : IAsyncDisposable
{
    private readonly Channel<Func<ValueTask>> _jobs = Channel.CreateUnbounded<Func<ValueTask>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly AsyncLocal<bool> _inside = new();
    private readonly Task _running;

    public EventQueue() => _running = RunAsync();

    /// <summary>Does nothing once disposed: nobody is there to be told any more.</summary>
    public void Post(Func<ValueTask> job) => _jobs.Writer.TryWrite(job);

    public async ValueTask DisposeAsync()
    {
        _jobs.Writer.TryComplete();
        // A handler may dispose its client; the queue then ends after that handler.
        if (!_inside.Value)
        {
            await _running.ConfigureAwait(false);
        }
    }

    private async Task RunAsync()
    {
        await foreach (var job in _jobs.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            await RunOneAsync(job).ConfigureAwait(false);
        }
    }

    private async Task RunOneAsync(Func<ValueTask> job)
    {
        _inside.Value = true;
        try
        {
            await job().ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whatever a handler throws ends the process, as it would on any thread of its own.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            ThreadPool.UnsafeQueueUserWorkItem(static captured => captured.Throw(), ExceptionDispatchInfo.Capture(exception), preferLocal: false);
        }
    }
}
