// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Cli.Running;

/// <summary>
/// barctl between fork and the command: .NET offers nothing to run there, so barctl starts itself, asks the kernel for SIGTERM when its parent dies,
/// and becomes the command. The process id stays the same.
/// </summary>
internal static class ExecStub
{
    /// <summary>First argument of such a start; not for people, so not among the commands.</summary>
    public const string Marker = "__exec";

    private const int SigTerm = 15;

    public static ProcessStartInfo StartInfo(IReadOnlyList<string> command)
    {
        string self = Environment.ProcessPath ?? throw new InvalidOperationException("The path of barctl is unknown: is /proc mounted?");
        var info = new ProcessStartInfo(self) { UseShellExecute = false };
        if (Path.GetFileName(self) == "dotnet")
        {
            info.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }

        info.ArgumentList.Add(Marker);
        info.ArgumentList.Add(Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        foreach (string argument in command)
        {
            info.ArgumentList.Add(argument);
        }

        return info;
    }

    /// <summary>Becomes the command; returns only if that failed.</summary>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.Length < 2 || !int.TryParse(arguments[0], CultureInfo.InvariantCulture, out int parent))
        {
            Failure.Say($"{Marker} is for barctl itself; use 'barctl run'.");
            return ExitCode.Usage;
        }

        ProcessImage.SignalAtParentDeath(SigTerm);
        if (ProcessImage.ParentId != parent)
        {
            // It died before the request was in place.
            return ExitCode.Signal + SigTerm;
        }

        var error = ProcessImage.Replace(arguments[1..]);
        Failure.Say(error.Message);
        return error.Errno == Errno.ENOENT ? ExitCode.CommandNotFound : ExitCode.CannotExecute;
    }
}
