// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

/// <summary>Counts a socket's connections by uid.</summary>
internal sealed class ConnectionLimiter(int limit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, (int Open, bool Told)> _byUid = [];

    public int Limit => limit;

    public int Open
    {
        get
        {
            lock (_gate)
            {
                return _byUid.Values.Sum(uid => uid.Open);
            }
        }
    }

    /// <summary>Each true is to be matched by one <see cref="Leave"/>.</summary>
    /// <param name="tell">It is the first refusal since the uid was below the limit.</param>
    public bool TryEnter(uint uid, out bool tell)
    {
        lock (_gate)
        {
            var (open, told) = _byUid.GetValueOrDefault(uid);
            bool enters = open < limit;
            tell = !enters && !told;
            _byUid[uid] = enters ? (open + 1, told) : (open, true);
            return enters;
        }
    }

    public void Leave(uint uid)
    {
        lock (_gate)
        {
            int open = _byUid[uid].Open - 1;
            if (open == 0)
            {
                _byUid.Remove(uid);
            }
            else
            {
                // Half of the limit, or a client at the limit that comes and goes would have each refusal logged.
                _byUid[uid] = (open, _byUid[uid].Told && open > limit / 2);
            }
        }
    }
}
