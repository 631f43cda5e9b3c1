// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Net.Sockets;
using BarBroker.Linux.Events;

namespace BarBroker.Client;

/// <summary>
/// Reads what comes on a socket, on a thread of its own; or, as long as there is one, on the thread of a caller who waits for an answer. That saves waking another thread
/// for it, and then the caller.
/// </summary>
internal sealed class FdReader : IDisposable
{
    private const ulong StopKey = 0;
    private const ulong SocketKey = 1;
    private const int StackSize = 256 * 1024;

    /// <summary>How long a caller looks itself; an answer that takes longer is the reader's.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// How long of that it does not sleep: the broker's answer takes less as a rule, and to be woken on another processor can take as long again. With one processor the
    /// broker could not run meanwhile.
    /// </summary>
    private static readonly TimeSpan _spin = Environment.ProcessorCount > 1 ? TimeSpan.FromMicroseconds(50) : TimeSpan.Zero;

    private readonly Epoll _epoll = new();
    private readonly EventFd _stop = new();
    private readonly Lock _arming = new();
    private readonly Lock _receiving = new();
    private readonly Socket _socket;
    private readonly Func<bool> _drain;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _callers;

    /// <param name="drain">Takes in all that is there; false: nothing will come any more. Called by one thread at a time. Never throws.</param>
    public FdReader(Socket socket, Func<bool> drain)
    {
        _socket = socket;
        _drain = drain;
        _epoll.Add(_stop, StopKey);
        _epoll.AddOnce(socket, SocketKey);
        _thread = new Thread(Run, StackSize) { Name = "barbroker-fds", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Completes when the thread has ended: after <see cref="Stop"/>, or when nothing will come any more.</summary>
    public Task Ended => _ended.Task;

    public void Stop() => _stop.Signal();

    /// <summary>A caller is about to ask: the answer is not to wake the thread. To be matched by one <see cref="Leave"/>.</summary>
    public void Enter()
    {
        lock (_arming)
        {
            if (_callers++ == 0)
            {
                _epoll.Disarm(_socket);
            }
        }
    }

    public void Leave()
    {
        lock (_arming)
        {
            if (--_callers == 0)
            {
                _epoll.Arm(_socket, SocketKey);
            }
        }
    }

    /// <summary>Reads until the answer is there, or for a moment. Who finds somebody else reading has somebody who looks for its answer.</summary>
    public void ReadUntil(Task answer)
    {
        if (!_receiving.TryEnter())
        {
            return;
        }

        try
        {
            while (!answer.IsCompleted && (IsSoonReadable() || _socket.Poll(_patience, SelectMode.SelectRead)) && _drain())
            {
            }
        }
        finally
        {
            _receiving.Exit();
        }
    }

    private bool IsSoonReadable()
    {
        long begin = Stopwatch.GetTimestamp();
        do
        {
            if (_socket.Poll(0, SelectMode.SelectRead))
            {
                return true;
            }
        }
        while (Stopwatch.GetElapsedTime(begin) < _spin);
        return false;
    }

    /// <summary>When the thread has ended and no caller is left.</summary>
    public void Dispose()
    {
        _stop.Dispose();
        _epoll.Dispose();
    }

    private void Run()
    {
        Span<ulong> keys = stackalloc ulong[2];
        while (true)
        {
            int count = _epoll.Wait(keys);
            if (keys[..count].Contains(StopKey) || !Drain())
            {
                _ended.TrySetResult();
                return;
            }
        }
    }

    private bool Drain()
    {
        lock (_receiving)
        {
            if (!_drain())
            {
                return false;
            }
        }

        lock (_arming)
        {
            if (_callers == 0)
            {
                _epoll.Arm(_socket, SocketKey);
            }
        }

        return true;
    }
}
