// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;
using BarBroker.Processes;

namespace BarBroker.Restart;

/// <summary>
/// What to make of what an earlier run has left: descriptors, the board of its leases, and their records. All three must agree about a lease, or it is not taken up. Where a lease is on the board and is
/// not explained by its record and its buffers, its whole device is let go, since nothing less proves that its memory is free.
/// </summary>
internal sealed class RestorePlan
{
    private readonly Dictionary<string, Part> _parts = new(StringComparer.Ordinal);
    private readonly List<PassedDescriptor> _unused = [];
    private readonly List<PassedDescriptor> _shared = [];

    private RestorePlan()
    {
    }

    /// <summary>By name, those that there is something of.</summary>
    public ImmutableDictionary<string, KeptDevice> Devices { get; private set; } = ImmutableDictionary<string, KeptDevice>.Empty;

    /// <summary>To be closed, and, unless its name is one of <see cref="UsedNames"/>, not kept any more: what belongs to nothing, and what was duplicated for those it belongs to.</summary>
    public IReadOnlyList<PassedDescriptor> Unused => _unused;

    /// <summary>Leases on the board of devices that are not configured any more, whose record is not there, or not the last one.</summary>
    public List<ulong> FormerInDoubt { get; } = [];

    /// <summary>By which something is kept that is not to be let go.</summary>
    public HashSet<string> UsedNames { get; } = new(StringComparer.Ordinal);

    /// <param name="passed">Without the board.</param>
    /// <param name="doubt">Why nothing is to be believed; empty: it may be.</param>
    /// <param name="devices">The names that are configured.</param>
    /// <param name="shares">Whether the device, the first, has a use for what is kept by that name of several.</param>
    /// <param name="owner">The process, by what was written down of it, its pidfd if one was kept, and how many leases it has.</param>
    public static RestorePlan Make(
        IReadOnlyList<PassedDescriptor> passed,
        IReadOnlyList<BoardEntry> board,
        EarlierLeases earlier,
        string doubt,
        IReadOnlyCollection<string> devices,
        Func<string, string, bool> shares,
        Func<LeaseOwner, FileDescriptor?, int, LeaseOwner> owner)
    {
        var plan = new RestorePlan();
        foreach (string device in devices)
        {
            plan._parts.Add(device, new Part { Problem = doubt });
        }

        var buffers = new Dictionary<string, List<PassedDescriptor>>(StringComparer.Ordinal);
        var clients = new Dictionary<string, FileDescriptor>(StringComparer.Ordinal);
        plan.Sort(passed, buffers, clients);
        plan.Match(board, earlier, buffers);
        plan._unused.AddRange(buffers.Values.SelectMany(static files => files));
        plan.FindOwners(clients, owner);
        foreach (var (name, file) in clients)
        {
            plan._unused.Add(new PassedDescriptor(name, file));
        }

        plan.Devices = plan._parts.Where(static part => part.Value.IsSomething).ToImmutableDictionary(static part => part.Key, part => part.Value.ToDevice(plan.Share(part.Key, shares)));
        plan._unused.AddRange(plan._shared);
        return plan;
    }

    private ImmutableArray<PassedDescriptor> Share(string device, Func<string, string, bool> shares)
    {
        ImmutableArray<PassedDescriptor> own = [.. _shared.Where(file => shares(device, file.Name)).Select(static file => file with { File = file.File.Duplicate() })];
        UsedNames.UnionWith(own.Select(static file => file.Name));
        return own;
    }

    private void Sort(IReadOnlyList<PassedDescriptor> passed, Dictionary<string, List<PassedDescriptor>> buffers, Dictionary<string, FileDescriptor> clients)
    {
        // The newest opening of a device is the one that counts; an older one was to be let go.
        foreach (var file in passed.OrderByDescending(static file => KeptName.TryDevice(file.Name, out _, out int generation, out _) ? generation : 0))
        {
            if (KeptName.IsLease(file.Name))
            {
                (buffers.TryGetValue(file.Name, out var files) ? files : buffers[file.Name] = []).Add(file);
            }
            else if (KeptName.IsShared(file.Name))
            {
                _shared.Add(file);
            }
            else if (KeptName.TryDevice(file.Name, out string device, out int generation, out string role) && _parts.TryGetValue(device, out var part) && part.Generation <= generation)
            {
                part.Generation = generation;
                part.Files.Add(file with { Name = role });
            }
            else if (!KeptName.IsClient(file.Name) || !clients.TryAdd(file.Name, file.File))
            {
                _unused.Add(file);
            }
        }
    }

    private void Match(IReadOnlyList<BoardEntry> board, EarlierLeases earlier, Dictionary<string, List<PassedDescriptor>> buffers)
    {
        var records = earlier.Leases.Where(record => record.BootId == earlier.BootId).ToDictionary(static record => record.Lease.Epoch);
        var devices = _parts.ToDictionary(static part => LeaseBoard.Key(part.Key), static part => part.Value);
        foreach (var entry in board)
        {
            if (!devices.TryGetValue(entry.DeviceKey, out var part))
            {
                // Of a device that is not configured any more: its descriptors are closed as unused, and its records are looked after by themselves.
                if (records.GetValueOrDefault(entry.Epoch) is not { } last || last.Marks.NotedAt < entry.NotedAt)
                {
                    FormerInDoubt.Add(entry.Epoch);
                }

                entry.Place.Free();
                continue;
            }

            string id = LeaseId.FromEpoch(entry.Epoch);
            buffers.Remove(KeptName.OfLease(id), out var files);
            UsedNames.Add(KeptName.OfLease(id));
            part.Add(entry, id, records.GetValueOrDefault(entry.Epoch), files ?? []);
        }
    }

    private void FindOwners(Dictionary<string, FileDescriptor> clients, Func<LeaseOwner, FileDescriptor?, int, LeaseOwner> owner)
    {
        var leases = _parts.Values.Where(static part => part.IsBelieved).SelectMany(static part => part.Leases.Select((lease, index) => (part, lease, index)));
        foreach (var group in leases.GroupBy(static found => ClientIdentity.Of(found.lease.Owner)).ToList())
        {
            var first = group.First().lease.Owner;
            clients.Remove(KeptName.OfClient(first.Process), out var kept);
            UsedNames.Add(KeptName.OfClient(first.Process));
            var process = owner(first, kept, group.Count());
            foreach (var (part, lease, index) in group)
            {
                part.Leases[index] = lease with { Owner = process };
            }
        }
    }

    /// <summary>What there is of one device.</summary>
    private sealed class Part
    {
        private readonly List<PassedDescriptor> _strays = [];
        private readonly List<BoardPlace> _lost = [];

        public string Problem { get; set; } = "";

        public int Generation { get; set; }

        public List<PassedDescriptor> Files { get; } = [];

        public List<KeptLease> Leases { get; } = [];

        public bool IsSomething => Files.Count > 0 || Leases.Count > 0 || _strays.Count > 0 || _lost.Count > 0;

        public bool IsBelieved => Problem.Length == 0 && Files.Count > 0;

        public void Add(BoardEntry entry, string id, EarlierLease? record, List<PassedDescriptor> files)
        {
            if (record is null)
            {
                Doubt($"lease {id} was there, and the journal has no record of it");
                Lose(entry, files);
            }
            else if (record.Marks.NotedAt < entry.NotedAt)
            {
                Doubt($"the last record of lease {id} is missing in the journal, which has an older one");
                Lose(entry, files);
            }
            else if (record.Marks.Files.IsDefaultOrEmpty)
            {
                // Its buffers were just being made: they may be kept, and nobody was given them.
                Lose(entry, files);
            }
            else if (Files.Count == 0)
            {
                Lose(entry, files);
            }
            else if (record.Marks.Generation != Generation)
            {
                Doubt($"lease {id} is of another opening of the device, the {record.Marks.Generation}th, not the {Generation}th");
                Lose(entry, files);
            }
            else
            {
                TakeUp(entry, id, record, files);
            }
        }

        public KeptDevice ToDevice(ImmutableArray<PassedDescriptor> shared)
        {
            string problem = Problem.Length > 0 || Files.Count > 0 ? Problem : "its own descriptors were not kept";
            return new KeptDevice(Generation, [.. Files], shared, [.. Leases], [.. _strays], [.. _lost], problem);
        }

        private void TakeUp(BoardEntry entry, string id, EarlierLease record, List<PassedDescriptor> files)
        {
            var buffers = ImmutableArray.CreateBuilder<FileDescriptor>();
            foreach (var wanted in record.Marks.Files)
            {
                int index = files.FindIndex(file => Identify(file.File) == wanted);
                if (index < 0)
                {
                    GiveUp($"buffer {buffers.Count} of lease {id} was not kept");
                    return;
                }

                buffers.Add(files[index].File);
                files.RemoveAt(index);
            }

            if (buffers.Count != record.Lease.Buffers.Count)
            {
                GiveUp($"the record of lease {id} has {record.Lease.Buffers.Count} buffers and names {buffers.Count} files");
                return;
            }

            _strays.AddRange(files);
            Leases.Add(KeptLeaseReader.Read(record, entry, buffers.ToImmutable()));

            void GiveUp(string problem)
            {
                Doubt(problem);
                Lose(entry, [.. files, .. buffers.Select(file => new PassedDescriptor(KeptName.OfLease(id), file))]);
            }
        }

        private void Lose(BoardEntry entry, List<PassedDescriptor> files)
        {
            _lost.Add(entry.Place);
            _strays.AddRange(files);
        }

        private void Doubt(string problem) => Problem = Problem.Length > 0 ? Problem : problem;

        private static FileIdentity? Identify(FileDescriptor file)
        {
            try
            {
                return file.GetFileIdentity();
            }
            catch (LinuxException)
            {
                return null;
            }
        }
    }
}
