// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>A run of a BAR that is either free or held by the same leases from end to end. The pieces of a BAR follow one another without gaps.</summary>
internal sealed class RangePiece<T> where T : class
{
    private T? _first;
    private List<T>? _others;

    public ulong Offset { get; set; }

    public ulong Length { get; set; }

    public ulong End => Offset + Length;

    /// <summary>The piece that begins where this one ends; null at the end of the BAR.</summary>
    public RangePiece<T>? Next { get; private set; }

    /// <summary>The piece that ends where this one begins; null at the beginning of the BAR.</summary>
    public RangePiece<T>? Previous { get; private set; }

    /// <summary>Null only in what the trees are searched with.</summary>
    public RangeArea<T>? Area { get; set; }

    /// <summary>How many holders wait for proof that access is over.</summary>
    public int Quarantines { get; set; }

    /// <summary>Every holder is read-only. Means nothing for a free piece.</summary>
    public bool ReadOnly { get; set; }

    public bool IsFree => _first is null;

    public T? AnyHolder => _first;

    public void Add(T holder)
    {
        if (_first is null)
            _first = holder;
        else
            (_others ??= []).Add(holder);
    }

    public void Remove(T holder)
    {
        if (!ReferenceEquals(_first, holder))
        {
            _others?.Remove(holder);
            return;
        }

        _first = null;
        if (_others is { Count: > 0 })
        {
            _first = _others[^1];
            _others.RemoveAt(_others.Count - 1);
        }
    }

    public bool IsHeldBy(T holder) => ReferenceEquals(_first, holder) || (_others is not null && _others.Contains(holder));

    public IEnumerable<T> Holders()
    {
        if (_first is null)
            yield break;
        yield return _first;
        foreach (T other in _others ?? [])
            yield return other;
    }

    /// <summary>Cuts this piece short at <paramref name="offset"/> and returns the rest, held by the same.</summary>
    public RangePiece<T> SplitAt(ulong offset)
    {
        var rest = new RangePiece<T>
        {
            Offset = offset,
            Length = End - offset,
            Area = Area,
            Quarantines = Quarantines,
            ReadOnly = ReadOnly,
            _first = _first,
            _others = _others is { Count: > 0 } ? [.. _others] : null,
            Previous = this,
            Next = Next,
        };
        if (Next is { } after)
            after.Previous = rest;
        Next = rest;
        Length = offset - Offset;
        return rest;
    }

    /// <summary>Takes in the piece after this one.</summary>
    public void Absorb()
    {
        RangePiece<T> gone = Next!;
        Length += gone.Length;
        Next = gone.Next;
        if (Next is { } after)
            after.Previous = this;
    }
}
