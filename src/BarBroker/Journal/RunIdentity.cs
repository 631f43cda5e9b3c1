// SPDX-License-Identifier: Apache-2.0

using System.Reflection;

namespace BarBroker.Journal;

/// <summary>One run of the broker, told apart from every other.</summary>
/// <param name="BootId">Of the kernel (random(4)); what boottime says is comparable only within one.</param>
/// <param name="Wall">Of the start: milliseconds of Unix time.</param>
/// <param name="Boot">Of the start: a time stamp.</param>
internal sealed record RunIdentity(Guid Token, string BootId, int Pid, string Version, long Wall, long Boot)
{
    /// <summary>The bytes of a boot id.</summary>
    public const int BootIdLength = 36;

    public static RunIdentity Now(TimeProvider time)
    {
        string version = typeof(RunIdentity).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
        return new RunIdentity(Guid.NewGuid(), ReadBootId(), Environment.ProcessId, version, time.GetUtcNow().ToUnixTimeMilliseconds(), time.GetTimestamp());
    }

    public static string ReadBootId()
    {
        try
        {
            return File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() is { Length: BootIdLength } id ? id : Guid.NewGuid().ToString();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // One of its own: nothing of another run can then pass for one of this boot.
            return Guid.NewGuid().ToString();
        }
    }
}
