// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Events;
using BarBroker.Linux.Vfio;

namespace BarBroker.Devices.Vfio;

/// <summary>Waits on a thread of its own for what the kernel has to say about an open device. Disposing it ends the thread and waits for that.</summary>
internal sealed class VfioWatch : IDisposable
{
    private const ulong StopKey = ulong.MaxValue;

    private readonly Epoll _epoll = new();
    private readonly EventFd _stop = new();
    private readonly EventFd _request = new();
    private readonly EventFd _error = new();
    private readonly Action<VfioEvent> _raised;
    private readonly Thread _thread;

    /// <param name="raised">Called at most once for each kind of event, on the thread of the watch. It must not wait for the thread that disposes the watch.</param>
    public VfioWatch(VfioDeviceFile file, Action<VfioEvent> raised)
    {
        _raised = raised;
        _thread = new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = $"vfio {file}" };
        try
        {
            if (!file.TrySetEvent(VfioEvent.Request, _request))
            {
                throw new IOException($"{file} has no device request event: the kernel could not ask for it back.");
            }

            // Only PCI Express functions report errors.
            file.TrySetEvent(VfioEvent.Error, _error);
            _epoll.Add(_stop, StopKey);
            // Once: the kernel repeats its request every ten seconds.
            _epoll.AddOnce(_request, (ulong)VfioEvent.Request);
            _epoll.AddOnce(_error, (ulong)VfioEvent.Error);
            _thread.Start();
        }
        catch
        {
            CloseFiles();
            throw;
        }
    }

    public void Dispose()
    {
        if (Thread.CurrentThread == _thread)
        {
            throw new InvalidOperationException("A device cannot be closed by the handler of its own loss.");
        }

        _stop.Signal();
        _thread.Join();
        CloseFiles();
    }

    private void Run()
    {
        Span<ulong> keys = stackalloc ulong[3];
        while (true)
        {
            int count = _epoll.Wait(keys);
            foreach (ulong key in keys[..count])
            {
                if (key == StopKey)
                {
                    return;
                }

                _raised((VfioEvent)key);
            }
        }
    }

    private void CloseFiles()
    {
        _epoll.Dispose();
        _stop.Dispose();
        _request.Dispose();
        _error.Dispose();
    }
}
