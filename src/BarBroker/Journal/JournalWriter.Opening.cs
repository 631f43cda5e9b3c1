// SPDX-License-Identifier: Apache-2.0

using BarBroker.Wire;

namespace BarBroker.Journal;

internal sealed partial class JournalWriter
{
    private readonly TaskCompletionSource<EarlierLeases> _earlier = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>False: it is not time to try again.</summary>
    private bool TryOpen()
    {
        if (_retryAfter > TimeSpan.Zero && _time.GetElapsedTime(_failedAt) < _retryAfter && !_stopping)
        {
            return false;
        }

        _retryAfter = TimeSpan.Zero;
        _store = JournalStore.Open(Path);
        _file.Opened();
        if (!_wasOpen)
        {
            var left = ReadAhead();
            TellEarlier(_store.Unended(), left, "");
            WriteAhead(left);
        }

        (_runId, _written) = _store.FindRun(_run);

        // A commit may have been told to have failed, and have not.
        _batch.RemoveAll(entry => entry.Number <= _written);
        if (!_wasOpen)
        {
            _wasOpen = true;
        }
        else if (_written == 0)
        {
            WriteLiving();
        }

        if (_batch.Count == 0 && _queue.IsEmpty)
        {
            Succeeded();
        }

        return true;
    }

    /// <summary>A database that begins now knows none of the leases that there are.</summary>
    private void WriteLiving()
    {
        var living = new List<JournalEntry>();
        foreach (var lease in _living())
        {
            living.Add(new JournalEntry(new V1.HistoryEvent(), lease.ToWire(), lease.Marks, 0, 0));
        }

        _store!.Write(_runId, living, _written);
    }

    /// <summary>Once. With what the database does not have yet; whether that can be written into it now is another matter.</summary>
    /// <param name="database">Null: it cannot be read.</param>
    private void TellEarlier(List<EarlierLease>? database, List<(string Path, RunIdentity Run, List<JournalEntry> Entries)> ahead, string problem)
    {
        if (!_earlier.Task.IsCompleted)
        {
            _earlier.TrySetResult(EarlierLeases.Merge(_run, database, ahead.Select(static segment => (segment.Run, segment.Entries)), problem));
        }
    }

    /// <summary>The database cannot be opened, and that may last.</summary>
    private void TellEarlier(Exception exception, string problem)
    {
        if (!_earlier.Task.IsCompleted)
        {
            TellEarlier(JournalFaults.IsOfTheDisk(exception) ? ReadCopy() : null, ReadAhead(), problem);
        }
    }

    /// <summary>SQLite writes to what it reads, be it only locks. Where the disk takes nothing, it is given a copy in memory.</summary>
    private List<EarlierLease>? ReadCopy()
    {
        if (!File.Exists(Path))
        {
            return null;
        }

        string copy = System.IO.Path.Combine(_runtimeDirectory, "journal.copy");
        try
        {
            DeleteCopy(copy);
            foreach (string suffix in JournalFile.Suffixes.Where(suffix => File.Exists(Path + suffix)))
            {
                File.Copy(Path + suffix, copy + suffix);
            }

            using var store = JournalStore.Open(copy);
            var records = store.Unended();
            JournalLog.ReadFromCopy(_log, Path, records.Count);
            return records;
        }
        catch (Exception exception)
        {
            JournalLog.Unreadable(_log, Path, JournalFaults.Text(exception));
            return null;
        }
        finally
        {
            DeleteCopy(copy);
        }
    }

    private static void DeleteCopy(string copy)
    {
        try
        {
            foreach (string suffix in JournalFile.Suffixes)
            {
                File.Delete(copy + suffix);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The runtime directory is gone, or not ours: then no copy can be made, which is told.
        }
    }

    /// <summary>What earlier runs had no time to write, in the order of the runs.</summary>
    private List<(string Path, RunIdentity Run, List<JournalEntry> Entries)> ReadAhead()
    {
        string own = AheadSegment.Name(_run, 0)[..^6];
        var left = new List<(string Path, RunIdentity Run, List<JournalEntry> Entries)>();
        foreach (string path in (Directory.Exists(_runtimeDirectory) ? Directory.GetFiles(_runtimeDirectory, AheadSegment.Pattern) : []).Where(path => !System.IO.Path.GetFileName(path).StartsWith(own, StringComparison.Ordinal)))
        {
            try
            {
                if (AheadSegment.Read(path) is { } segment)
                {
                    left.Add((path, segment.Run, segment.Entries));
                    continue;
                }

                JournalLog.Unreadable(_log, path, "it is not a broker's");
                File.Delete(path);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                JournalLog.Unreadable(_log, path, exception.Message);
            }
        }

        return [.. left.OrderBy(segment => segment.Run.Wall).ThenBy(segment => segment.Path, StringComparer.Ordinal)];
    }

    private void WriteAhead(List<(string Path, RunIdentity Run, List<JournalEntry> Entries)> left)
    {
        foreach (var (path, run, entries) in left)
        {
            var (id, written) = _store!.FindRun(run);
            JournalEntry[] missing = [.. entries.Where(entry => entry.Number > written)];
            if (missing.Length > 0)
            {
                _store.Write(id, missing, missing[^1].Number);
            }

            File.Delete(path);
        }
    }

    private void Close()
    {
        try
        {
            _store?.Dispose();
        }
        catch (Exception exception)
        {
            // It was no good already; what was committed is in its log.
            _problem = JournalFaults.Text(exception);
        }

        _store = null;
    }
}
