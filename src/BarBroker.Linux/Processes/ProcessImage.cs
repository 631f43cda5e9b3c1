// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;
using BarBroker.Linux.Interop;

namespace BarBroker.Linux.Processes;

/// <summary>Turns this process into another program.</summary>
public static class ProcessImage
{
    /// <summary>prctl(2), linux/prctl.h.</summary>
    internal const int PR_SET_PDEATHSIG = 1;

    /// <summary>signal(7).</summary>
    internal const int SIGPIPE = 13;

    /// <summary>signal.h.</summary>
    internal const nint SIG_DFL = 0;

    public static int ParentId => Libc.Getppid();

    /// <summary>Asks for the signal when the thread that started this process ends. It stays in force in the program that <see cref="Replace"/> starts, unless that changes its user.</summary>
    public static void SignalAtParentDeath(int signal)
    {
        if (Libc.Prctl(PR_SET_PDEATHSIG, (nuint)signal, 0, 0, 0) != 0)
        {
            throw LinuxException.Last("prctl(PR_SET_PDEATHSIG)", "this process");
        }
    }

    /// <summary>Becomes the command, found by PATH, with this process' environment and its descriptors that are not close-on-exec. Returns only if that failed.</summary>
    public static unsafe LinuxException Replace(ReadOnlySpan<string> command)
    {
        // The runtime ignores SIGPIPE, and what is ignored stays so in the new program (execve(2)).
        Libc.Signal(SIGPIPE, SIG_DFL);
        var texts = new nint[command.Length + 1];
        try
        {
            for (int i = 0; i < command.Length; i++)
            {
                texts[i] = Marshal.StringToCoTaskMemUTF8(command[i]);
            }

            // SAFETY: an array of terminated strings that ends with a null pointer, pinned and alive for the call.
            fixed (nint* start = texts)
            {
                Libc.Execvp((byte*)start[0], (byte**)start);
            }

            return LinuxException.Last("execve", command[0]);
        }
        finally
        {
            foreach (nint text in texts)
            {
                Marshal.FreeCoTaskMem(text);
            }
        }
    }
}
