// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using BarBroker.Records;

namespace BarBroker.Journal;

/// <summary>The marks of a lease as a message: fields may be added, and what another version has written can still be read.</summary>
internal static class LeaseRecords
{
    public static LeaseRecord ToRecord(this LeaseMarks marks)
    {
        var record = new LeaseRecord
        {
            RequestId = marks.RequestId ?? "",
            GrantedAt = marks.GrantedAt,
            TtlDeadline = marks.TtlDeadline,
            TicketDeadline = marks.TicketDeadline,
            LifeDeadline = marks.LifeDeadline,
            LifeNotice = marks.LifeNotice,
            RecallDeadline = marks.RecallDeadline,
            EndingAt = marks.EndingAt,
            StuckAt = marks.StuckAt,
            RecallGrace = marks.RecallGrace.Ticks,
            MaxLifetime = marks.MaxLifetime?.Ticks ?? 0,
            Fetched = marks.Fetched,
            NamesRanges = marks.NamesRanges,
            Generation = marks.Generation,
            NotedAt = marks.NotedAt,
            ProcessPid = marks.Process.Pid,
            ProcessKey = marks.Process.Key,
            Trace = marks.Trace ?? "",
            Address = marks.Address ?? "",
        };
        if (!marks.Groups.IsDefaultOrEmpty)
        {
            record.Groups.AddRange(marks.Groups);
        }

        foreach (var file in marks.Files.IsDefault ? [] : marks.Files)
        {
            record.Files.Add(new BufferFile { Device = file.Device, Inode = file.Inode });
        }

        return record;
    }

    public static LeaseMarks ToMarks(this LeaseRecord record) => new(
        record.RequestId,
        record.GrantedAt,
        record.TtlDeadline,
        record.TicketDeadline,
        record.LifeDeadline,
        record.RecallDeadline,
        TimeSpan.FromTicks(record.RecallGrace),
        record.Fetched,
        record.Generation)
    {
        NotedAt = record.NotedAt,
        LifeNotice = record.LifeNotice,
        EndingAt = record.EndingAt,
        StuckAt = record.StuckAt,
        MaxLifetime = record.MaxLifetime > 0 ? TimeSpan.FromTicks(record.MaxLifetime) : null,
        NamesRanges = record.NamesRanges,
        Trace = record.Trace,
        Address = record.Address,
        Groups = record.Groups.Count == 0 ? [] : [.. record.Groups],
        Process = new ProcessIdentity(record.ProcessPid, record.ProcessKey),
        Files = record.Files.Count == 0 ? [] : [.. record.Files.Select(static file => new FileIdentity(file.Device, file.Inode))],
    };
}
