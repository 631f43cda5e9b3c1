// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Configuration;
using BarBroker.Devices.Simulated;
using BarBroker.Devices.Vfio;
using BarBroker.Journal;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Restart;

/// <summary>
/// What an earlier run had of devices that are not configured any more, by name or by what is behind it. It is revoked, and the records of its leases end with the proof that nobody has access; where there is none, they
/// stay open, and are looked at again by the next run.
/// </summary>
internal sealed class FormerDevices
{
    /// <summary>While the service manager closes what it was told to let go of.</summary>
    private const int Looks = 200;
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10);

    private readonly ImmutableDictionary<string, string> _configured;
    private readonly ImmutableDictionary<string, string> _byAddress;
    private readonly HashSet<FileIdentity> _revoked = [];
    private readonly HashSet<ulong> _doubted = [];
    private readonly TimeProvider _time;
    private readonly ILogger _log;

    public FormerDevices(IReadOnlyCollection<DeviceEntry> configured, TimeProvider time, ILogger log)
    {
        _configured = configured.ToImmutableDictionary(static device => device.Name, AddressOf);
        _byAddress = configured.Where(static device => AddressOf(device).Length > 0).ToImmutableDictionary(AddressOf, static device => device.Name);
        _time = time;
        _log = log;
    }

    public string SysfsRoot { get; init; } = "/sys";

    public string DevRoot { get; init; } = "/dev";

    /// <summary>Closes what belongs to no device that is configured, after ending access to it. False: that failed, and it is to be kept.</summary>
    public bool TryLetGo(PassedDescriptor kept)
    {
        try
        {
            var identity = kept.File.GetFileIdentity();
            if (SimulatedBuffer.TryRevoke(kept.File))
            {
                _revoked.Add(identity);
            }

            return true;
        }
        catch (IOException exception)
        {
            RestartLog.NotRevoked(_log, kept.Name, exception);
            return false;
        }
        finally
        {
            kept.File.Dispose();
        }
    }

    /// <summary>Leases whose records are not there, or not the last ones.</summary>
    public IReadOnlyCollection<ulong> Doubted => _doubted;

    /// <summary>The last record of a lease is not what is known of it. Before the search for proofs.</summary>
    public void Doubt(ulong epoch) => _doubted.Add(epoch);

    /// <summary>The configured device that is, or has the name of, the one of the record. Null: there is none any more.</summary>
    /// <param name="names">Of all that are configured.</param>
    public string? Successor(EarlierLease record, IReadOnlySet<string> names)
    {
        string address = record.Marks.Address ?? "";
        string name = record.Lease.Device;
        if (address.Length == 0)
        {
            return names.Contains(name) ? name : null;
        }

        return _byAddress.TryGetValue(address, out string? now) ? now
            : names.Contains(name) && !_configured.ContainsKey(name) ? name
            : null;
    }

    /// <summary>Waits for proofs as long as one may still come.</summary>
    /// <param name="records">Of devices without a <see cref="Successor"/>.</param>
    /// <returns>The leases that nothing proves to be over. Those were told.</returns>
    public async Task<ImmutableArray<EarlierLease>> FindUnprovenAsync(IReadOnlyCollection<EarlierLease> records, CancellationToken cancellation)
    {
        var left = records.ToImmutableArray();
        for (int looks = 0; ; looks++)
        {
            var doubts = left.Select(static record => record.Marks.Address ?? "").Distinct().Where(static address => address.Length > 0).ToDictionary(static address => address, address => VfioAbsence.Doubt(SysfsRoot, DevRoot, address));
            left = [.. left.Where(record => record.Marks.Address is { Length: > 0 } address ? doubts[address] is not null : !IsRevoked(record))];
            if (looks == Looks || doubts.Values.All(static doubt => doubt is null))
            {
                Tell(left, doubts);
                return left;
            }

            await Task.Delay(Look, _time, cancellation);
        }
    }

    /// <summary>Of a simulated device: nobody was given a buffer, or all of them are taken back.</summary>
    private bool IsRevoked(EarlierLease record)
    {
        var files = record.Marks.Files;
        return !_doubted.Contains(record.Lease.Epoch) && (files.IsDefaultOrEmpty ? !record.Marks.Fetched : files.All(_revoked.Contains));
    }

    private void Tell(ImmutableArray<EarlierLease> unproven, Dictionary<string, string?> doubts)
    {
        foreach (var group in unproven.GroupBy(static record => (record.Lease.Device, Address: record.Marks.Address ?? "")))
        {
            RestartLog.Unproven(_log, group.Key.Device, group.Count(), doubts.GetValueOrDefault(group.Key.Address) ?? "not all of its buffers were kept, so that they could be taken back");
        }
    }

    private static string AddressOf(DeviceEntry device) => (device as VfioDeviceEntry)?.Address ?? "";
}
