// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Devices.Simulated;

/// <summary>A buffer that a simulated device of an earlier run has exported, whichever that was. The kernel does not take it back when its broker ends.</summary>
internal static class SimulatedBuffer
{
    /// <summary>Ends every access to it; what is in it is lost. True: for good. False: it is no such buffer, or one that its holders could make grow again.</summary>
    /// <param name="file">May be closed.</param>
    /// <exception cref="IOException">It is one, and access is not over.</exception>
    public static bool TryRevoke(FileDescriptor file)
    {
        if (Memfd.NameOf(file) is not { } name || name.Split(':') is not [SimulatedBar.Family, { Length: > 0 }, var bar] || !int.TryParse(bar, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            return false;
        }

        using var memory = Memfd.Adopt(file, name);
        memory.SetSize(0);
        if (memory.GetSize() != 0)
        {
            throw new LinuxException("ftruncate", $"the buffer {name}, which is not empty after it", Errno.EIO);
        }

        return (memory.GetSeals() & MemfdSeals.Grow) != 0;
    }
}
