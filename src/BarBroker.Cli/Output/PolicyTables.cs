// SPDX-License-Identifier: Apache-2.0

using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>What people see of configuration and policy.</summary>
internal static class PolicyTables
{
    public static void Reload(IAnsiConsole screen, ReloadDocument reload)
    {
        Faults(screen, reload.Faults);
        if (reload.Faults.Count > 0)
        {
            return;
        }

        Line(screen, $"in force: {(reload.Changed.Count > 0 ? string.Join(", ", reload.Changed) : "nothing that is different")}");
        if (reload.NeedRestart.Count > 0)
        {
            Line(screen, $"needs a restart: {string.Join(", ", reload.NeedRestart)}");
        }

        if (reload.Ended is { } ended)
        {
            Line(screen, $"leases that end: {ended}");
        }
    }

    public static void Check(IAnsiConsole screen, PolicyCheckDocument check)
    {
        Faults(screen, check.Faults);
        if (check.Faults.Count > 0)
        {
            return;
        }

        if (check.Granted is null && check.OperatorRights is null)
        {
            Line(screen, check.Rules is { } rules ? $"{check.File}: OK, a policy of {rules} {(rules == 1 ? "rule" : "rules")}" : $"{check.File}: OK, no policy");
            return;
        }

        foreach (var step in check.Steps)
        {
            Line(screen, $"rule {step.Rule}: {(step.Why.Length > 0 ? step.Why : "matches and decides")}");
        }

        Line(screen, Verdict(check));
        if (check is { Granted: true, Terms: { } terms })
        {
            screen.Write(Terms(terms));
        }
    }

    private static string Verdict(PolicyCheckDocument check) => check switch
    {
        { OperatorRights: { Count: > 0 } rights } => $"operator rights: {string.Join(", ", rights)}",
        { OperatorRights: not null } => "operator rights: none",
        { Granted: true } => $"granted, if there is room and the quota is not used up{(check.Rules is null ? "; there is no policy" : "")}:",
        _ => $"refused ({check.RefusalCode}): {check.Refusal}",
    };

    private static Table Terms(TermsDocument terms)
    {
        var table = Screen.Table("", "").HideHeaders();
        Add("devices", string.Join(", ", terms.Devices));
        Add("ttl", Words.Seconds(terms.TtlSeconds));
        Add("hang limit", Time(terms.HangLimitSeconds));
        Add("lifetime", Time(terms.MaxLifetimeSeconds));
        Add("recall grace", terms.RecallGraceSeconds > 0 ? Words.Seconds(terms.RecallGraceSeconds) : "none");
        Add("leases", $"{terms.Leases}");
        Add("bytes", terms.Bytes is { } bytes ? Words.Bytes(bytes) : "no limit");
        Add("waiting", terms.Waiting is { } waiting ? $"{waiting}" : "no limit");
        Add("acquires", terms.AcquiresPerSecond is { } rate ? $"{rate} a second, {terms.AcquireBurst} at once" : "no limit");
        Add("priority", $"{terms.Priority}{(terms.MayPreempt ? ", may preempt" : "")}");
        return table;

        void Add(string name, string value) => table.AddRow(Screen.Cell($"  {name}"), Screen.Cell(value));

        static string Time(double? seconds) => seconds is null ? "no limit" : Words.Seconds(seconds);
    }

    public static void Faults(IAnsiConsole screen, IEnumerable<FaultDocument> faults)
    {
        foreach (var fault in faults.OrderBy(fault => fault.Line))
        {
            Line(screen, $"{(fault.Line > 0 ? $"line {fault.Line}: " : "")}{(fault.Path.Length > 0 ? $"{fault.Path}: " : "")}{fault.Message}");
        }
    }

    private static void Line(IAnsiConsole screen, string text) => screen.WriteLine(Words.Printable(text));
}
