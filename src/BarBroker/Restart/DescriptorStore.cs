// SPDX-License-Identifier: Apache-2.0

using System.Text;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Restart;

/// <summary>The service manager's store of descriptors (sd_pid_notify_with_fds(3), FDSTORE=1). It answers nothing, so what is in it is counted here.</summary>
internal sealed partial class DescriptorStore : IDescriptorKeeper
{
    /// <summary>The kernel takes 128 KiB for one variable of the environment (MAX_ARG_STRLEN), and all names are in LISTEN_FDNAMES: with more, the next run could not be executed. Sockets have names, too.</summary>
    public const int MaxNameBytes = 120 * 1024;

    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(5);

    private readonly ServiceNotifier _manager;
    private readonly RestartMetrics _metrics;
    private readonly ILogger _log;

    // A leaf. Nothing is sent under it.
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _kept = new(StringComparer.Ordinal);
    private int _files;
    private int _nameBytes;
    private bool _isFullTold;

    /// <param name="capacity">FileDescriptorStoreMax=.</param>
    public DescriptorStore(ServiceNotifier manager, int capacity, RestartMetrics metrics, ILogger log)
    {
        _manager = manager;
        Capacity = capacity;
        _metrics = metrics;
        _log = log;
    }

    public int Capacity { get; }

    /// <summary>Descriptors that are kept, as far as it is known.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _files;
            }
        }
    }

    /// <summary>How many descriptors it keeps at most: fewer than <see cref="Capacity"/> where their names, as long as they are now, would be too much for <see cref="MaxNameBytes"/>.</summary>
    public int Limit
    {
        get
        {
            lock (_gate)
            {
                return _nameBytes == 0 ? Capacity : (int)Math.Min(Capacity, (long)MaxNameBytes * _files / _nameBytes);
            }
        }
    }

    /// <summary>What was there before this run.</summary>
    public void Found(string name)
    {
        lock (_gate)
        {
            Add(name, 1);
        }
    }

    public bool Keep(string name, ReadOnlySpan<FileDescriptor> files)
    {
        if (IsOfSeveral(name))
        {
            return KeepForOneMore(name, files);
        }

        lock (_gate)
        {
            if (!HasRoom(name, files.Length))
            {
                return false;
            }

            Add(name, files.Length);
        }

        bool isStored = false;
        try
        {
            return isStored = TryStore(name, files);
        }
        finally
        {
            if (!isStored)
            {
                lock (_gate)
                {
                    Add(name, -files.Length);
                }
            }
        }
    }

    public void Drop(string name)
    {
        if (IsOfSeveral(name))
        {
            DropForOne(name);
        }
        else if (TryForget(name))
        {
            lock (_gate)
            {
                Uncount(name);
            }
        }
    }

    public void Settle()
    {
        try
        {
            if (!_manager.Barrier(SettlePatience))
            {
                RestartLog.NotSettled(_log, SettlePatience);
            }
        }
        catch (IOException exception)
        {
            RestartLog.NotForgotten(_log, "a barrier", exception);
        }
    }

    /// <summary>Under the lock. Says so where there is none.</summary>
    private bool HasRoom(string name, int files)
    {
        if (_files + files <= Capacity && _nameBytes + (files * (name.Length + 1)) <= MaxNameBytes)
        {
            return true;
        }

        if (!_isFullTold)
        {
            _isFullTold = true;
            RestartLog.StoreFull(_log, _files, Capacity);
        }

        _metrics.Full(files);
        return false;
    }

    /// <exception cref="ObjectDisposedException">One of them is closed.</exception>
    private bool TryStore(string name, ReadOnlySpan<FileDescriptor> files)
    {
        try
        {
            _manager.Store(name, files);
            return true;
        }
        catch (IOException exception)
        {
            _metrics.NotStored(files.Length);
            RestartLog.NotStored(_log, name, exception);
            return false;
        }
    }

    private bool TryForget(string name)
    {
        try
        {
            _manager.Forget(name);
            return true;
        }
        catch (Exception exception) when (exception is IOException or ArgumentException)
        {
            RestartLog.NotForgotten(_log, name, exception);
            return false;
        }
    }

    /// <summary>Under the lock: nothing is kept by this name any more.</summary>
    private void Uncount(string name)
    {
        Add(name, -_kept.GetValueOrDefault(name));
        _isFullTold = false;
    }

    /// <summary>Under the lock.</summary>
    private void Add(string name, int files)
    {
        int count = _kept.GetValueOrDefault(name) + files;
        if (count > 0)
        {
            _kept[name] = count;
        }
        else
        {
            _kept.Remove(name);
        }

        _files += files;
        _nameBytes += files * (Encoding.ASCII.GetByteCount(name) + 1);
    }
}
