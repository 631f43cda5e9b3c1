// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;

namespace BarBroker.Testing;

/// <summary>How the project's own programs are started.</summary>
public static class ProgramStart
{
    /// <summary>
    /// With every signal at its default, as a login shell or systemd starts programs. What the tests' own parent ignores (SIGHUP under nohup, SIGINT of a job in the
    /// background) .NET would pass on, and a program, or a shell that it starts, could not take it back.
    /// </summary>
    public static ProcessStartInfo Of(params IEnumerable<string> command) =>
        new("env", ["--default-signal", .. command]) { RedirectStandardOutput = true, RedirectStandardError = true };
}
