// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Devices.Vfio;

/// <summary>
/// Makes the calls that revoke buffers of one device. The kernel keeps such a call for as long as an importer does not let go, without limit; the device's
/// thread waits only so long, goes on with other leases, and asks again later. To be used by one thread at a time.
/// </summary>
/// <remarks>
/// The calls are made by a thread of their own, one after the other, until the kernel keeps one: that thread is left to it, and the next call gets another. So there are never more
/// threads than importers that hold on, and one.
/// </remarks>
internal sealed class RevokeCalls(string device, TimeSpan patience) : IDisposable
{
    private readonly Dictionary<ExportedBuffer, Call> _kept = [];
    private Caller? _caller;

    /// <summary>The answer to a call for this buffer; null: not yet, and the call goes on. Whoever asks again gets the answer of that one.</summary>
    public Errno? Revoke(ExportedBuffer buffer, Func<Errno> revoke)
    {
        if (_kept.TryGetValue(buffer, out var kept))
        {
            if (!kept.Done.IsSet)
            {
                return null;
            }

            _kept.Remove(buffer);
            return kept.Answer;
        }

        var call = new Call(revoke);
        _caller ??= new Caller(device);
        _caller.Post(call);
        if (call.Done.Wait(patience))
        {
            return call.Answer;
        }

        _kept.Add(buffer, call);
        Dispose();
        return null;
    }

    /// <summary>The device was closed, proven: no call is kept any more, and nobody asks for its answer.</summary>
    public void Forget() => _kept.Clear();

    /// <summary>No more calls on the thread that there is. Calls that the kernel keeps go on.</summary>
    public void Dispose()
    {
        _caller?.Post(null);
        _caller = null;
    }

    private sealed class Call(Func<Errno> revoke)
    {
        private Errno _answer;
        private Exception? _failure;

        public ManualResetEventSlim Done { get; } = new();

        public Errno Answer => _failure is null ? _answer : throw new IOException($"The call that revokes failed: {_failure.Message}", _failure);

        public void Make()
        {
            try
            {
                _answer = revoke();
            }
#pragma warning disable CA1031 // Thrown to whoever asks for the answer.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _failure = exception;
            }

            Done.Set();
        }
    }

    private sealed class Caller
    {
        private const int StackSize = 256 * 1024;

        private readonly Queue<Call?> _calls = new();

        public Caller(string device) => new Thread(Loop, StackSize) { Name = $"revoke {device}", IsBackground = true }.Start();

        /// <summary>Null ends the thread.</summary>
        public void Post(Call? call)
        {
            lock (_calls)
            {
                _calls.Enqueue(call);
                Monitor.Pulse(_calls);
            }
        }

        private void Loop()
        {
            while (Next() is { } call)
            {
                call.Make();
            }
        }

        private Call? Next()
        {
            lock (_calls)
            {
                while (_calls.Count == 0)
                {
                    Monitor.Wait(_calls);
                }

                return _calls.Dequeue();
            }
        }
    }
}
