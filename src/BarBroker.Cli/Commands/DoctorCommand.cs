// SPDX-License-Identifier: Apache-2.0

using System.CommandLine;
using System.Reflection;
using BarBroker.Cli.Diagnosis;
using BarBroker.Configuration;

namespace BarBroker.Cli.Commands;

internal static class DoctorCommand
{
    public static Command Create()
    {
        var configuration = new Option<string>("--config")
        {
            Description = $"The broker's configuration [default: {ConfigurationFile.DefaultPath}]",
            HelpName = "FILE",
            DefaultValueFactory = static _ => ConfigurationFile.DefaultPath,
        };
        var command = new Command("doctor", "Find what is wrong with this host, and how to mend it; no broker needed") { configuration };
        GlobalOptions.HasNoNames(command);
        command.SetGuardedAction(async (parsed, cancellation) =>
        {
            var host = await Doctor.LookAsync(GlobalOptions.DirectoryOf(parsed), parsed.GetRequiredValue(configuration), Version(), cancellation);
            var findings = await Doctor.ExamineAsync(host);
            GlobalOptions.PrinterOf(parsed).Findings(findings);
            return findings.Any(static finding => finding.Result == "fail") ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    private static string Version() => typeof(DoctorCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
