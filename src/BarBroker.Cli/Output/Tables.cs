// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of leases, devices and the broker; at most 80 columns where names are short.</summary>
internal static class Tables
{
    public static void Leases(IAnsiConsole screen, IReadOnlyCollection<LeaseDocument> leases, bool wide)
    {
        if (leases.Count == 0)
        {
            screen.WriteLine("No leases.");
            return;
        }

        string[] more = wide ? ["EPOCH", "AGE", "TTL", "ACCESS", "PRIORITY", "POOL", "RULE", "LABELS", "RANGES"] : [];
        var table = Screen.Table(["LEASE", "DEVICE", "BAR", "SIZE", "STATE", "REASON", "LEFT", "UID", "PID", "COMMAND", .. more]);
        foreach (var lease in leases)
        {
            table.AddRow(
            [
                Screen.Cell(lease.Id),
                Screen.Cell(lease.Device),
                Screen.Cell(string.Join(',', lease.Buffers.Select(buffer => buffer.Bar).Distinct())),
                Screen.Cell(Words.Bytes(lease.Size())),
                Screen.State(lease.State),
                Screen.Cell(lease.EndReason ?? "-"),
                Screen.Cell(Words.Seconds(lease.RemainingSeconds)),
                Screen.Cell($"{lease.Owner.Uid}"),
                Screen.Cell($"{lease.Owner.Pid}"),
                Screen.Cell(lease.Owner.Comm),
                .. wide ? More(lease) : [],
            ]);
        }

        screen.Write(table);
        foreach (var lease in leases.Where(static lease => lease.StuckForSeconds is not null))
        {
            screen.WriteLine(Words.Printable($"{lease.Id} has been stuck for {Words.Seconds(lease.StuckForSeconds)}: {lease.RevokeError}"));
        }
    }

    public static void Waiting(IAnsiConsole screen, IReadOnlyCollection<WaitingDocument> waiting, bool wide)
    {
        if (waiting.Count == 0)
        {
            screen.WriteLine("Nothing waits.");
            return;
        }

        string[] more = wide ? ["ACCESS", "POOL", "LABELS"] : [];
        var table = Screen.Table(["DEVICE", "POSITION", "PRIORITY", "SIZE", "WAITED", "LEFT", "KEPT", "UID", "PID", "COMMAND", .. more]);
        foreach (var waiter in waiting)
        {
            string kept = Ranges(waiter.Kept);
            table.AddRow(
            [
                Screen.Cell(waiter.Device),
                Screen.Cell($"{waiter.Position}"),
                Screen.Cell($"{waiter.Priority}"),
                Screen.Cell(Words.Bytes(waiter.Size)),
                Screen.Cell(Words.Seconds(waiter.WaitedSeconds)),
                Screen.Cell(Words.Seconds(waiter.RemainingSeconds)),
                Screen.Cell(kept.Length == 0 ? "-" : waiter.Preempts ? $"{kept} (preempts)" : kept),
                Screen.Cell($"{waiter.Owner.Uid}"),
                Screen.Cell($"{waiter.Owner.Pid}"),
                Screen.Cell(waiter.Owner.Comm),
                .. wide ? [Screen.Cell(waiter.Access), Screen.Cell(waiter.Pool ?? "-"), Screen.Cell(Labels(waiter.Labels))] : Array.Empty<Text>(),
            ]);
        }

        screen.Write(table);
    }

    public static void Lease(IAnsiConsole screen, LeaseDocument lease)
    {
        var table = Pairs();
        Add(table, "lease", lease.Id);
        Add(table, "epoch", $"{lease.Epoch}");
        Add(table, "device", lease.Device);
        table.AddRow(Screen.Cell("state"), Screen.State(lease.State));
        Add(table, "end reason", lease.EndReason, lease.EndDetail);
        Add(table, "access", lease.Access, lease.MemoryAttribute);
        foreach (var buffer in lease.Buffers)
        {
            Add(table, "buffer", $"BAR {buffer.Bar}, {Words.Bytes(buffer.Size)}: {string.Join(' ', buffer.Ranges.Select(range => Words.Range(range.Offset, range.Length)))}");
        }

        Add(table, "owner", $"uid {lease.Owner.Uid}, gid {lease.Owner.Gid}, pid {lease.Owner.Pid}", lease.Owner.Comm);
        foreach (var (key, value) in lease.Labels)
        {
            Add(table, "label", $"{key}={value}");
        }

        Add(table, "ttl", Words.Seconds(lease.TtlSeconds), lease.RemainingSeconds is { } left ? $"{Words.Seconds(left)} left" : null);
        Add(table, "lifetime", lease.LifetimeRemainingSeconds is { } life ? $"{Words.Seconds(life)} left, whatever is renewed" : null);
        Add(table, "policy rule", lease.PolicyRule);
        Add(table, "pool", lease.Pool, lease.Slot is { } slot ? $"slot {slot}" : null);
        Add(table, "recalled", lease.RecallRemainingSeconds is { } recall ? $"{lease.RecallReason}, revoked in {Words.Seconds(recall)}{(lease.RecallAcknowledged ? ", acknowledged" : "")}" : null, lease.RecallDetail);
        Add(table, "priority", lease.Priority != 0 ? $"{lease.Priority}" : null);
        Add(table, "hang limit", lease.HangLimitSeconds is { } limit ? Words.Seconds(limit) : null);
        Add(table, "age", Words.Seconds(lease.AgeSeconds));
        Add(table, "revoke", lease.RevokeAttempts > 0 ? $"{lease.RevokeAttempts} attempts failed" : null, lease.RevokeError);
        Add(table, "stuck", lease.StuckForSeconds is { } stuck ? $"for {Words.Seconds(stuck)}" : null);
        foreach (var step in lease.Escalations)
        {
            Add(table, step.Step, $"{step.Outcome} {Words.Seconds(step.AgeSeconds)} ago", step.Detail);
        }

        screen.Write(table);
    }

    public static void Devices(IAnsiConsole screen, IReadOnlyCollection<DeviceDocument> devices, bool wide)
    {
        if (devices.Count == 0)
        {
            screen.WriteLine("No devices.");
            return;
        }

        string[] more = wide ? ["LEASED", "LARGEST", "ADDRESS", "DRIVER", "WAITING", "OPENED", "POOLS", "DETAIL"] : [];
        var table = Screen.Table(["DEVICE", "KIND", "STATE", "REVOKES", "LEASES", "BAR", "SIZE", "FREE", "QUARANTINED", .. more]);
        foreach (var device in devices)
        {
            var bars = device.Bars.Count > 0 ? device.Bars : [new BarDocument(0, 0, 0, 0, 0, 0, 0, 0)];
            foreach (var bar in bars)
            {
                bool first = bar == bars[0];
                table.AddRow(
                [
                    Screen.Cell(first ? device.Name : ""),
                    Screen.Cell(first ? device.Kind : ""),
                    first ? Screen.State(device.State, device.StateWithCauses()) : Screen.Cell(""),
                    Screen.Cell(first ? device.RevocationDomain : ""),
                    Screen.Cell(first ? $"{device.Leases}" : ""),
                    Screen.Cell(bar.Size > 0 ? $"{bar.Index}" : "-"),
                    Screen.Cell(Words.Bytes(bar.Size)),
                    Screen.Cell(Words.Bytes(bar.Free)),
                    Screen.Cell(bar.Quarantined > 0 ? Words.Bytes(bar.Quarantined) : "-"),
                    .. wide ? More(device, bar, first) : [],
                ]);
            }
        }

        screen.Write(table);
    }

    public static void Device(IAnsiConsole screen, DeviceDocument device)
    {
        var table = Pairs();
        Add(table, "device", device.Name, device.Address);
        Add(table, "kind", device.Kind);
        Add(table, "driver", device.Driver);
        table.AddRow(Screen.Cell("state"), Screen.State(device.State));
        foreach (var cordon in device.Cordons)
        {
            Add(table, "cordoned", cordon.Cause, cordon.Comment);
        }

        Add(table, "revokes", device.RevocationDomain);
        Add(table, "detail", device.Detail);
        Add(table, "access", string.Join(", ", device.Accesses));
        Add(table, "caching", string.Join(", ", device.MemoryAttributes));
        Add(table, "page size", Words.Bytes(device.PageSize));
        Add(table, "leases", $"{device.Leases}");
        Add(table, "pools", string.Join(", ", device.Pools));
        Add(table, "waiting", device.Waiting > 0 ? $"{device.Waiting}" : null);
        Add(table, "opened", device.Generation == 1 ? "once" : $"{device.Generation} times");
        screen.Write(table);
        foreach (var bar in device.Bars)
        {
            BarPicture.Write(screen, bar, device.Segments?.Where(segment => segment.Bar == bar.Index).ToArray());
        }
    }

    public static void Status(IAnsiConsole screen, StatusDocument status, bool wide)
    {
        var table = Pairs();
        Add(table, "version", status.Version);
        Add(table, "pid", $"{status.Pid}");
        Add(table, "up", Words.Seconds(status.UptimeSeconds));
        Add(table, "leases", $"{status.Granted} granted, {status.Active} active, {status.Recalled} recalled, {status.Revoking} revoking, {status.Stuck} stuck");
        Add(table, "ended", $"{status.Ended} since the start");
        Add(table, "metrics", status.MetricsUrl.Length > 0 ? status.MetricsUrl : "off");
        Add(table, "journal", status.Journal is { } journal ? $"{journal.Path}, {Words.Bytes(journal.Bytes)}" : "off");
        screen.Write(table);
        foreach (string warning in status.Warnings)
        {
            screen.Write(new Text($"warning: {Words.Printable(warning)}\n", new Style(Color.Yellow)));
        }

        screen.WriteLine();
        Devices(screen, status.Devices, wide);
    }

    /// <summary>One event in one line.</summary>
    public static void Event(IAnsiConsole screen, EventDocument document)
    {
        string line = document switch
        {
            { Lease: { } lease } => LeaseLine(lease),
            { Device: { } device } => $"device {device.Name} {device.State}{(device.Detail.Length > 0 ? $" ({device.Detail})" : "")}",
            _ => "",
        };
        screen.WriteLine(Words.Printable(line));
    }

    public static void ResetPlan(IAnsiConsole screen, ResetPlanDocument plan)
    {
        foreach (string line in plan.Lines())
        {
            screen.WriteLine(Words.Printable(line));
        }
    }

    public static string LeaseLine(LeaseDocument lease)
    {
        string reason = string.Join(", ", new[] { lease.EndReason, lease.EndDetail, lease.RevokeError }.Where(part => !string.IsNullOrEmpty(part)));
        return $"lease {lease.Id} on {lease.Device} {lease.State}{(reason.Length > 0 ? $" ({reason})" : "")}";
    }

    /// <summary>A lease of a plan: what would end, and whose it is.</summary>
    public static string PlanLine(LeaseDocument lease) =>
        $"  {lease.Id} of {lease.Owner.Comm} (uid {lease.Owner.Uid}, pid {lease.Owner.Pid}): {Words.Bytes(lease.Size())}, {lease.State}";

    private static Text[] More(LeaseDocument lease) =>
    [
        Screen.Cell($"{lease.Epoch}"),
        Screen.Cell(Words.Seconds(lease.AgeSeconds)),
        Screen.Cell(Words.Seconds(lease.TtlSeconds)),
        Screen.Cell(lease.Access),
        Screen.Cell($"{lease.Priority}"),
        Screen.Cell(lease.Pool is null ? "-" : lease.Slot is { } slot ? $"{lease.Pool} slot {slot}" : lease.Pool),
        Screen.Cell(lease.PolicyRule ?? "-"),
        Screen.Cell(Labels(lease.Labels)),
        Screen.Cell(Ranges(lease.Buffers)),
    ];

    private static Text[] More(DeviceDocument device, BarDocument bar, bool first) =>
    [
        Screen.Cell(Words.Bytes(bar.Leased)),
        Screen.Cell(Words.Bytes(bar.LargestFree)),
        Screen.Cell(!first ? "" : device.Address.Length > 0 ? device.Address : "-"),
        Screen.Cell(!first ? "" : device.Driver.Length > 0 ? device.Driver : "-"),
        Screen.Cell(first ? $"{device.Waiting}" : ""),
        Screen.Cell(first ? $"{device.Generation}" : ""),
        Screen.Cell(!first ? "" : device.Pools.Count > 0 ? string.Join(',', device.Pools) : "-"),
        Screen.Cell(first ? device.Detail : ""),
    ];

    private static string Labels(IReadOnlyDictionary<string, string> labels) =>
        labels.Count > 0 ? string.Join(',', labels.OrderBy(static label => label.Key, StringComparer.Ordinal).Select(static label => $"{label.Key}={label.Value}")) : "-";

    private static string Ranges(IReadOnlyList<BufferDocument> buffers) =>
        string.Join(' ', buffers.SelectMany(static buffer => buffer.Ranges.Select(range => $"{buffer.Bar}:{Words.Range(range.Offset, range.Length)}")));

    private static Table Pairs() => Screen.Table("", "").HideHeaders();

    private static void Add(Table table, string name, string? value, string? remark = null)
    {
        if (!string.IsNullOrEmpty(value))
        {
            table.AddRow(Screen.Cell(name), Screen.Cell(string.IsNullOrEmpty(remark) ? value : $"{value} ({remark})"));
        }
    }
}
