// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Parsing;
using BarBroker.Cli.Parsing;
using BarBroker.Client;
using BarBroker.V1;

namespace BarBroker.Cli.Commands;

/// <summary>Options that say what a lease is asked for: one buffer by --size or --range, or several by --buffer; or a slot of a pool.</summary>
/// <param name="isOptional">A request need not be there at all.</param>
internal sealed class RequestOptions(bool isOptional = false)
{
    private readonly Option<string?> _device = new("--device", "-d") { Description = "The device [default: any that fits]", HelpName = "NAME" };
    private readonly Option<string?> _pool = new("--pool", "-p") { Description = "From this pool: a slot of it, or with --size memory of it", HelpName = "NAME" };
    private readonly Option<uint?> _slot = new("--slot") { Description = "With --pool: exactly this slot [default: any]", HelpName = "N" };
    private readonly Option<ulong?> _size = Options.Size("--size", "This many bytes, anywhere in the BAR", "-s");
    private readonly Option<byte> _bar = new("--bar", "-b") { Description = "The BAR of --size and --range", HelpName = "N", DefaultValueFactory = _ => 0 };
    private readonly Option<BarRange[]> _ranges = Options.Ranges("--range", "Exactly this range; may be repeated, the ranges follow each other in the buffer");
    private readonly Option<BufferSpec[]> _buffers = Options.Buffers("--buffer", "One buffer; may be repeated, each becomes one fd");
    private readonly Option<ulong?> _alignment = Options.Size("--align", "With --size: the offset is a multiple of this");
    private readonly Option<TimeSpan?> _ttl = Options.Duration("--ttl", "How long the lease outlives its last renewal [default: the broker's]");
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "No writing; the ranges may be shared with other readers" };
    private readonly Option<bool> _writeCombining = new("--write-combining") { Description = "The CPU may combine and reorder writes" };
    private readonly Option<TimeSpan?> _wait = Options.Duration("--wait", "Wait this long for room, or for the device [default: do not wait]");
    private readonly Option<int?> _priority = new("--priority") { Description = "Who goes first among those that wait, as far as policy allows", HelpName = "N" };
    private readonly Option<KeyValuePair<string, string>[]> _labels = Options.Labels("--label", "A label for operators and logs; may be repeated");

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _device, _pool, _slot, _size, _bar, _ranges, _buffers, _alignment, _ttl, _readOnly, _writeCombining, _wait, _priority, _labels })
        {
            command.Add(option);
        }

        command.Validators.Add(result =>
        {
            int ways = new Option[] { _size, _ranges, _buffers }.Count(option => result.GetResult(option) is { Implicit: false });
            bool fromPool = result.GetResult(_pool) is { Implicit: false };
            if (ways > 1 || (ways == 0 && !fromPool && !isOptional))
            {
                result.AddError("Say what to lease by --pool, or by one of --size, --range or --buffer.");
            }

            if (fromPool ? result.GetResult(_ranges) is { Implicit: false } : result.GetResult(_slot) is { Implicit: false })
            {
                result.AddError(fromPool ? "--range does not go with --pool; ask for a slot or a --size." : "--slot goes with --pool.");
            }

            if (result.GetResult(_alignment) is { Implicit: false } && result.GetResult(_size) is null or { Implicit: true })
            {
                result.AddError("--align goes with --size.");
            }
        });
    }

    /// <summary>Whether any memory is asked for.</summary>
    public bool IsGiven(SymbolResult result) => new Option[] { _pool, _size, _ranges, _buffers }.Any(option => result.GetResult(option) is { Implicit: false });

    public LeaseRequest From(ParseResult parsed) => new()
    {
        Device = parsed.GetValue(_device) ?? "",
        Pool = parsed.GetValue(_pool) ?? "",
        Slot = (int?)parsed.GetValue(_slot),
        Buffers = BuffersOf(parsed),
        Access = parsed.GetValue(_readOnly) ? Access.ReadOnly : Access.ReadWrite,
        MemoryAttribute = parsed.GetValue(_writeCombining) ? MemoryAttribute.WriteCombining : MemoryAttribute.Unspecified,
        Ttl = parsed.GetValue(_ttl),
        Wait = parsed.GetValue(_wait),
        Priority = parsed.GetValue(_priority),
        Labels = (parsed.GetValue(_labels) ?? []).DistinctBy(label => label.Key).ToImmutableDictionary(),
        // The holder's life is the sign of work: `run` waits for its command, `acquire` for its user.
        KeepAlive = KeepAliveMode.WhileProcessLives,
    };

    private ImmutableArray<BufferSpec> BuffersOf(ParseResult parsed)
    {
        int bar = parsed.GetValue(_bar);
        if (parsed.GetValue(_buffers) is { Length: > 0 } buffers)
        {
            return [.. buffers];
        }

        if (parsed.GetValue(_pool) is not null && parsed.GetValue(_size) is null)
        {
            return [];
        }

        return parsed.GetValue(_ranges) is { Length: > 0 } ranges
            ? [BufferSpec.OfRanges(bar, ranges)]
            : [BufferSpec.OfSize(parsed.GetValue(_size) ?? 0, bar, parsed.GetValue(_alignment) ?? 0)];
    }
}
