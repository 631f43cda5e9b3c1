// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Leases;

/// <summary>
/// Memory that outlives the process: the epochs of all leases that have not ended, their devices, and what changes too often to be written down, the heartbeats. It is what the next run measures the
/// records against: an epoch without a record is a lease that nothing is known of. Taking and freeing places belongs to the lease book's lock.
/// </summary>
internal sealed class LeaseBoard : IDisposable
{
    public const int Places = 1 << 17;

    private const string Name = "barbroker:leases";
    private const long Magic = 0x3130_6472_616f_4242;
    private const int PlaceWords = 8;
    private const int Header = 64;
    private const int MagicWord = 0;
    private const int BootWord = 1;
    private const int FlagsWord = 3;

    /// <summary>How many places were ever taken: what is behind them was never touched, and takes no memory.</summary>
    private const int UsedWord = 4;
    private const int HighestWord = 5;
    private const int ReservedWord = 6;
    private const long IncompleteFlag = 1;
    private const long OverflowFlag = 2;
    private const long InheritedFlag = 4;

    private readonly SharedWords _words;
    private readonly Stack<int> _free = new();

    private LeaseBoard(SharedWords words) => _words = words;

    /// <summary>What has to be kept.</summary>
    public FileDescriptor Memory => _words.Memory;

    /// <summary>The highest epoch that was ever on it; 0: none was.</summary>
    public ulong HighestEpoch => (ulong)_words[HighestWord];

    /// <summary>Epochs below this one were set aside for the runs that had it, on the disk; 0: none.</summary>
    public ulong ReservedUntil
    {
        get => (ulong)_words[ReservedWord];
        set => _words[ReservedWord] = (long)value;
    }

    public static LeaseBoard Create(string bootId)
    {
        var board = new LeaseBoard(SharedWords.Create(Name, Header + (Places * PlaceWords)));
        (board._words[BootWord], board._words[BootWord + 1]) = Words(bootId);
        board._words[MagicWord] = Magic;
        return board;
    }

    /// <summary>That of an earlier run, to be read with <see cref="Found"/>. Takes the descriptor over, unless it is something else.</summary>
    /// <exception cref="IOException">It is no board, or of another boot of the machine.</exception>
    public static LeaseBoard Adopt(FileDescriptor file, string bootId)
    {
        var words = SharedWords.Adopt(file, Name, Header + (Places * PlaceWords));
        var board = new LeaseBoard(words);
        if (words[MagicWord] == Magic && (words[BootWord], words[BootWord + 1]) == Words(bootId) && words[UsedWord] is >= 0 and <= Places)
        {
            for (int i = 0; i < (int)words[UsedWord]; i++)
            {
                if (words[Header + (i * PlaceWords)] == 0)
                    board._free.Push(Header + (i * PlaceWords));
            }

            return board;
        }

        words.Dispose();
        throw new IOException("the board of the leases is of another version or another boot of the machine");
    }

    /// <summary>From any thread: a crash from now on would lose a record, or would not any more.</summary>
    public void SetIncomplete(bool incomplete) => _words[FlagsWord] = (_words[FlagsWord] & ~IncompleteFlag) | (incomplete ? IncompleteFlag : 0);

    /// <summary>Whether there may be leases that nothing is known of, on any device: records were lost, or there were more leases than places, or the earlier board was not there. It stays so for runs to come until <see cref="BeginAnew"/>.</summary>
    public bool TakeDoubt(bool doubt)
    {
        doubt |= _words[FlagsWord] != 0;
        _words[FlagsWord] = doubt ? InheritedFlag : 0;
        return doubt;
    }

    /// <summary>Everything that an earlier run may have had is let go.</summary>
    public void BeginAnew() => _words[FlagsWord] &= ~InheritedFlag;

    /// <summary>The places that are taken, those of an adopted board.</summary>
    public IEnumerable<BoardEntry> Found()
    {
        for (int i = 0; i < (int)_words[UsedWord]; i++)
        {
            int at = Header + (i * PlaceWords);
            if (_words[at] is not 0 and var epoch)
                yield return new BoardEntry((ulong)epoch, _words[at + BoardPlace.Device], _words[at + BoardPlace.Deadline], (ulong)_words[at + BoardPlace.ProgressCount], _words[at + BoardPlace.ProgressTime], (EndReason)_words[at + BoardPlace.Reason], _words[at + BoardPlace.Noted], new BoardPlace(this, _words, at));
        }
    }

    /// <summary>Null: it is full. Then the next run believes nothing.</summary>
    public BoardPlace? Take(ulong epoch, string device)
    {
        _words[HighestWord] = Math.Max(_words[HighestWord], (long)epoch);
        int at;
        if (_free.TryPop(out int free))
            at = free;
        else if (_words[UsedWord] is < Places and var used)
        {
            at = Header + ((int)used * PlaceWords);
            _words[UsedWord] = used + 1;
        }
        else
        {
            _words[FlagsWord] |= OverflowFlag;
            return null;
        }

        _words[at + BoardPlace.Device] = Key(device);
        _words[at + BoardPlace.Reason] = 0;
        _words[at + BoardPlace.Noted] = 0;
        // Last: from now on the place is taken.
        _words[at] = (long)epoch;
        return new BoardPlace(this, _words, at);
    }

    /// <summary>A number for the name of a device, the same in every run.</summary>
    public static long Key(string device)
    {
        // FNV-1a of 64 bits.
        ulong hash = 14695981039346656037;
        foreach (char c in device)
            hash = unchecked((hash ^ c) * 1099511628211);
        return (long)hash;
    }

    public void Dispose() => _words.Dispose();

    internal void Free(int at)
    {
        _words[at] = 0;
        _free.Push(at);
    }

    private static (long First, long Second) Words(string bootId)
    {
        Span<byte> bytes = stackalloc byte[16];
        // One that is none is that of no other boot: those of this machine parse.
        _ = Guid.TryParse(bootId, out Guid id) && id.TryWriteBytes(bytes);
        return (BitConverter.ToInt64(bytes), BitConverter.ToInt64(bytes[8..]));
    }
}
