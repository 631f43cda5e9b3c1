// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Hosting;

/// <summary>
/// Keeps epochs growing across restarts and crashes without a write for each grant: a block of them is written down as used before the first
/// is given out, and the next block when half of it is. Where that fails until the block is used up, the broker ends rather than risk an epoch twice.
/// </summary>
internal sealed class EpochReserve : ILeaseObserver
{
    public const ulong BlockSize = 1ul << 24;

    private readonly Lock _gate = new();
    private readonly EpochFile _file;
    private readonly ILogger<EpochReserve> _log;
    private readonly Action _exhausted;
    private readonly LeaseBoard? _board;
    private ulong _reservedUntil;
    private ulong _extendAt;
    private bool _extending;

    /// <param name="board">Knows, if there is one, which epochs were given out since the machine was started, and how many were set aside: while the disk cannot be written, a restarted broker goes on with those.</param>
    /// <param name="exhausted">Called when an epoch beyond the reservation was seen, or soon will be.</param>
    /// <exception cref="StartupException">The state cannot be read or written.</exception>
    public EpochReserve(string stateDirectory, LeaseBoard? board, ILogger<EpochReserve> log, Action exhausted)
    {
        _log = log;
        _exhausted = exhausted;
        _board = board;
        try
        {
            Directory.CreateDirectory(stateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            _file = new EpochFile(stateDirectory);
            First = Math.Max(_file.Read(), (board?.HighestEpoch ?? 0) + 1);
            _file.Write(First + BlockSize);
        }
        catch (Exception exception) when (_file is not null && board is not null && (exception is IOException or UnauthorizedAccessException) && board.ReservedUntil > board.HighestEpoch + (BlockSize / 4))
        {
            First = board.HighestEpoch + 1;
            EpochLog.NotWritten(_log, board.ReservedUntil, exception);
            Reserved(board.ReservedUntil);
            return;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"The state directory {stateDirectory} cannot be written: {exception.Message}", exception);
        }

        Reserved(First + BlockSize);
    }

    /// <summary>The first epoch of this run.</summary>
    public ulong First { get; }

    public void LeaseChanged(LeaseInfo lease)
    {
        if (lease.State != LeaseState.Granted || lease.Epoch < Volatile.Read(ref _extendAt))
        {
            return;
        }

        lock (_gate)
        {
            if (lease.Epoch >= _reservedUntil - (BlockSize / 16))
            {
                EpochLog.Exhausted(_log, _reservedUntil);
                _exhausted();
            }

            if (!_extending)
            {
                _extending = true;
                ThreadPool.UnsafeQueueUserWorkItem(static reserve => reserve.Extend(), this, preferLocal: false);
            }
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
    }

    private void Extend()
    {
        ulong until = _reservedUntil + BlockSize;
        try
        {
            _file.Write(until);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            EpochLog.NotWritten(_log, _reservedUntil, exception);
            lock (_gate)
            {
                // Not at once again: a full disk would be written to for each grant.
                Volatile.Write(ref _extendAt, _extendAt + (BlockSize / 256));
                _extending = false;
            }

            return;
        }

        lock (_gate)
        {
            Reserved(until);
            _extending = false;
        }
    }

    private void Reserved(ulong until)
    {
        _reservedUntil = until;
        _board?.ReservedUntil = until;
        Volatile.Write(ref _extendAt, until - (BlockSize / 2));
    }
}
