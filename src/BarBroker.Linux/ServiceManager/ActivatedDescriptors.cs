// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using System.Globalization;
using BarBroker.Linux.Interop;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.ServiceManager;

/// <summary>
/// The descriptors that a service manager gave this process at its start (sd_listen_fds(3)): sockets of socket units, and what an earlier run had stored. Each is handed out
/// once, by its name; disposing closes what nobody has claimed.
/// </summary>
public sealed class ActivatedDescriptors : IDisposable
{
    /// <summary>Where the numbers begin (<c>SD_LISTEN_FDS_START</c>).</summary>
    internal const int First = 3;

    private readonly Lock _gate = new();
    private ImmutableArray<PassedDescriptor> _left;

    /// <param name="passed">Owned by this from now on.</param>
    public ActivatedDescriptors(ImmutableArray<PassedDescriptor> passed) => _left = passed;

    /// <summary>Without a service manager.</summary>
    public static ActivatedDescriptors None => new([]);

    /// <summary>Names of those that nobody has claimed yet, in the manager's order.</summary>
    public ImmutableArray<string> Unclaimed
    {
        get
        {
            lock (_gate)
            {
                return [.. _left.Select(static passed => passed.Name)];
            }
        }
    }

    /// <summary>Takes all that are meant for this process; from then on they are close-on-exec, and its children are told of none. A second call finds none.</summary>
    /// <exception cref="LinuxException">A number that the manager named is not open.</exception>
    /// <exception cref="FormatException">What it says makes no sense.</exception>
    public static ActivatedDescriptors Take()
    {
        string?[] said = [.. ((string[])["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]).Select(Environment.GetEnvironmentVariable)];
        foreach (string name in (string[])["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"])
        {
            Environment.SetEnvironmentVariable(name, null);
        }

        return Take(said[0], said[1], said[2], First);
    }

    /// <summary>All of that name, in the manager's order. The caller owns them.</summary>
    public ImmutableArray<FileDescriptor> Claim(string name) => [.. Claim(other => other == name).Select(static passed => passed.File)];

    /// <summary>All whose names are wanted, in the manager's order. The caller owns them.</summary>
    public ImmutableArray<PassedDescriptor> Claim(Predicate<string> wanted)
    {
        lock (_gate)
        {
            ImmutableArray<PassedDescriptor> claimed = [.. _left.Where(passed => wanted(passed.Name))];
            _left = [.. _left.Where(passed => !wanted(passed.Name))];
            return claimed;
        }
    }

    public void Dispose()
    {
        foreach (var passed in Claim(static _ => true))
        {
            passed.File.Dispose();
        }
    }

    internal static ActivatedDescriptors Take(string? pid, string? count, string? names, int first)
    {
        // Meant for the process of this number only: a child may have inherited the variables, and has other files under the numbers.
        if (count is null || pid != Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
        {
            return None;
        }

        if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int passed))
        {
            throw new FormatException($"LISTEN_FDS is '{count}', which is no number of descriptors");
        }

        string[] called = names?.Split(':') ?? [];
        if (called.Length != 0 && called.Length != passed)
        {
            throw new FormatException($"LISTEN_FDNAMES has {called.Length} names for {passed} descriptors");
        }

        // All are looked at before any is owned, so that a wrong number closes none.
        for (int fd = first; fd < first + passed; fd++)
        {
            if (Libc.Fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            {
                throw LinuxException.Last("fcntl(F_SETFD)", $"fd {fd}, one of LISTEN_FDS={passed}");
            }
        }

        return new ActivatedDescriptors([.. Enumerable.Range(0, passed).Select(i => new PassedDescriptor(called.Length == 0 ? "unknown" : called[i], new FileDescriptor(first + i)))]);
    }
}
