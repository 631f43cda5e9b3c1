// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Configuration;
using BarBroker.Leases;

namespace BarBroker.Policy;

/// <summary>Reads the configuration again, one reload at a time, and puts into force what can be without a restart: all of it, or, if the file has any fault, nothing.</summary>
/// <param name="started">What the broker was started with.</param>
/// <param name="read">Reads and checks the file; null if there is none.</param>
internal sealed class ConfigurationReloader(BrokerOptions started, Func<BrokerOptions>? read, LeaseManager leases, ILogger<ConfigurationReloader> log)
{
    private static readonly ConfigurationChanges Nothing = new([], []);

    // Reading the file and looking users up is done under it; only other reloads wait for it.
    private readonly Lock _gate = new();
    private ImmutableArray<string> _needRestart = [];

    /// <summary>Keys that the last reload found changed and could not put into force.</summary>
    public ImmutableArray<string> NeedRestart
    {
        get
        {
            lock (_gate)
            {
                return _needRestart;
            }
        }
    }

    /// <param name="who">Who asked for it, for the log.</param>
    /// <param name="apply">Also end the leases that the new policy does not allow.</param>
    /// <param name="dryRun">Change nothing; tell what would be.</param>
    public ReloadOutcome Reload(string who, bool apply, bool dryRun = false)
    {
        if (read is null)
        {
            throw new LeaseException(LeaseError.Unsupported, "this broker was not started from a configuration file");
        }

        lock (_gate)
        {
            BrokerOptions options;
            try
            {
                options = read();
            }
            catch (ConfigurationException exception)
            {
                ReloadLog.Faulty(log, who, exception.Message);
                return new ReloadOutcome(exception.Faults, Nothing, 0);
            }

            var changes = ConfigurationChanges.Between(started, leases.Options, options);
            if (dryRun)
            {
                return new ReloadOutcome([], changes, apply ? leases.CountForbidden(options.Leases) : 0);
            }

            leases.Reconfigure(options.Leases);
            _needRestart = changes.NeedRestart;
            ReloadLog.Reloaded(log, who, changes.Reloadable.IsEmpty ? "no changes" : string.Join(", ", changes.Reloadable));
            if (!changes.NeedRestart.IsEmpty)
            {
                ReloadLog.NeedRestart(log, string.Join(", ", changes.NeedRestart));
            }

            return new ReloadOutcome([], changes, apply ? Apply() : 0);
        }
    }

    private int Apply()
    {
        int ended = leases.ApplyPolicy();
        ReloadLog.Applied(log, ended);
        return ended;
    }
}
