// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Journal;

/// <summary>
/// Keeps what is not in the journal's database yet where a crash of the broker does not take it: in files of the runtime directory, one write(2) an entry, on the
/// thread that has something to tell. What write(2) has taken is the kernel's, whatever becomes of the process. No entry waits for a disk: the runtime directory is
/// memory (tmpfs), and nothing is synced, because after a reboot no lease is alive that a record could be needed for.
/// </summary>
/// <remarks>A file that is full is followed by another one, and deleted when the database has all of it.</remarks>
internal sealed class AheadLog(string directory, RunIdentity run, TimeProvider time) : IDisposable
{
    private const int SegmentSize = 512 << 10;

    /// <summary>16 MiB: a database that falls further behind than that is in trouble, and the memory is wanted elsewhere.</summary>
    private const int MaxSegments = 32;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    // A leaf: nothing else is taken under it.
    private readonly Lock _gate = new();
    private readonly Queue<(string Path, ulong Last)> _full = [];
    private byte[] _buffer = new byte[4096];
    private FileStream? _file;
    private long _position;
    private ulong _last;
    private int _opened;
    private long? _failedAt;

    /// <summary>Why the last entry could not be kept; empty if it could.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>False: a crash would lose this entry until the database has it.</summary>
    public bool TryAppend(JournalEntry entry)
    {
        lock (_gate)
        {
            if (_failedAt is { } failed && time.GetElapsedTime(failed) < Pause)
            {
                return false;
            }

            try
            {
                Append(entry);
                _failedAt = null;
                Problem = "";
                return true;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Problem = exception.Message;
                _failedAt = time.GetTimestamp();
                Close();
                return false;
            }
        }
    }

    /// <summary>The database has everything up to this number.</summary>
    public void Written(ulong number)
    {
        lock (_gate)
        {
            while (_full.TryPeek(out var oldest) && oldest.Last <= number)
            {
                _full.Dequeue();
                TryDelete(oldest.Path);
            }
        }
    }

    /// <summary>What somebody has removed is begun anew: it would be of no use.</summary>
    public void Check()
    {
        lock (_gate)
        {
            if (_file is { } file && !File.Exists(file.Name))
            {
                Close();
            }
        }
    }

    /// <summary>Leaves the files that the database does not have all of.</summary>
    /// <param name="written">The number up to which it has.</param>
    public void Finish(ulong written)
    {
        lock (_gate)
        {
            Close();
        }

        Written(written);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            Close();
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Read again at the next start, and found to be in the database.
        }
    }

    private void Append(JournalEntry entry)
    {
        int size = EntryCodec.Encode(entry, ref _buffer);
        if (_position + size > SegmentSize)
        {
            Close();
        }

        _file ??= Begin();
        RandomAccess.Write(_file.SafeFileHandle, _buffer.AsSpan(0, size), _position);
        _position += size;
        _last = entry.Number;
    }

    private FileStream Begin()
    {
        if (_full.Count >= MaxSegments)
        {
            throw new IOException($"{MaxSegments} files with entries wait for the database");
        }

        var file = new FileStream(Path.Combine(directory, AheadSegment.Name(run, _opened++)), new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            BufferSize = 0,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        try
        {
            RandomAccess.Write(file.SafeFileHandle, AheadSegment.Header(run), 0);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _position = AheadSegment.HeaderSize;
        return file;
    }

    private void Close()
    {
        if (_file is not { } file)
        {
            return;
        }

        _file = null;
        file.Dispose();
        _full.Enqueue((file.Name, _last));
        _position = 0;
    }
}
