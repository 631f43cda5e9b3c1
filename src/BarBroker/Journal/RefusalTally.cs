// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Journal;

/// <summary>
/// Refusals on their way into the journal. The first of a uid is written; those of the same kind in the second after it are counted and become one entry: whoever asks
/// in a loop fills no disk.
/// </summary>
internal sealed class RefusalTally(TimeProvider time)
{
    /// <summary>Uids that are told apart at a time; what comes from more is counted together.</summary>
    private const int MaxKeys = 1024;

    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<(uint Uid, string Action, LeaseError Error), Tally> _tallies = [];

    public bool IsEmpty
    {
        get
        {
            lock (_gate)
            {
                return _tallies.Count == 0;
            }
        }
    }

    /// <returns>Whether it is to be written at once; else it was counted.</returns>
    public bool Add(uint uid, LeaseError error, V1.HistoryEvent refused)
    {
        lock (_gate)
        {
            var key = (uid, refused.Action, error);
            if (_tallies.Count >= MaxKeys && !_tallies.ContainsKey(key))
            {
                // Of several people: nobody's in particular.
                key = (uint.MaxValue, "", LeaseError.Denied);
                refused.Owner = null;
            }

            if (_tallies.TryGetValue(key, out var tally))
            {
                tally.Count++;
                tally.Last = refused;
                return false;
            }

            _tallies[key] = new Tally { Since = time.GetTimestamp(), Last = refused };
            return true;
        }
    }

    /// <summary>What was counted in seconds that are over.</summary>
    /// <param name="all">Also in those that are not.</param>
    public List<V1.HistoryEvent> Take(bool all = false)
    {
        var due = new List<V1.HistoryEvent>();
        lock (_gate)
        {
            foreach (var (key, tally) in _tallies)
            {
                if (!all && time.GetElapsedTime(tally.Since) < Window)
                {
                    continue;
                }

                if (tally.Count == 0)
                {
                    // Removing while enumerating is allowed (Dictionary<,>.Remove).
                    _tallies.Remove(key);
                    continue;
                }

                tally.Last.Count = tally.Count;
                due.Add(tally.Last);
                tally.Count = 0;
                tally.Since = time.GetTimestamp();
            }
        }

        return due;
    }

    private sealed class Tally
    {
        public required long Since { get; set; }

        public required V1.HistoryEvent Last { get; set; }

        public uint Count { get; set; }
    }
}
