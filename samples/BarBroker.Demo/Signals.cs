// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Demo;

/// <summary>The three signals of the demo (signal(7), x86-64 and arm64).</summary>
internal static partial class Signals
{
    public const int Bus = 7;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>Lets SIGBUS end the process as it ends a C program; the runtime would turn it into an abort.</summary>
    public static void DieOfBusError() => Signal(Bus, 0);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int number, nint action);
}
