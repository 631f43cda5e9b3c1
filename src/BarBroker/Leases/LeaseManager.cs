// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Leases;

/// <summary>The whole life of leases: what the sockets, the process watcher and the signal handlers call. Refusals are <see cref="LeaseException"/>.</summary>
internal sealed class LeaseManager : IAsyncDisposable
{
    public LeaseManager(LeaseOptions options, IEnumerable<DeviceRegistration> devices, ulong firstEpoch, TimeProvider time)
    {
        throw new NotImplementedException();
    }

    /// <summary>Opens the devices, each on its own thread; a device that does not open is Unavailable, with the reason, and tried again with backoff.</summary>
    public void Start() => throw new NotImplementedException();

    /// <summary>Sets the ranges aside, exports the buffers on the device's thread, and issues the ticket. Cancelling it leaves no lease behind.</summary>
    public ValueTask<Grant> AcquireAsync(AcquireRequest request, LeaseOwner owner, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Makes the lease Active. A wrong, used or expired ticket, or another uid's, is NotFound.</summary>
    public Redemption Redeem(ReadOnlySpan<byte> ticket, uint uid) => throw new NotImplementedException();

    /// <summary>A heartbeat; allocates nothing.</summary>
    public Renewal Renew(string leaseId, uint uid, ulong progress) => throw new NotImplementedException();

    /// <summary>Ends a lease of this uid (Released) and waits for proof: Ended, or Stuck. Cancelling stops the waiting only. An ended lease is returned as it is.</summary>
    public Task<LeaseInfo> ReleaseAsync(string leaseId, uint uid, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Ends a lease, whoever owns it, and waits for Ended or Stuck.</summary>
    public Task<LeaseInfo> EndAsync(string leaseId, EndReason reason, string detail, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Decides the end without waiting for the proof. Ending an ended lease does nothing. NotFound for an unknown id.</summary>
    public LeaseInfo End(string leaseId, EndReason reason, string detail) => throw new NotImplementedException();

    /// <summary>Announces that the lease will be revoked after the grace, for that reason. A shorter grace than one already announced wins.</summary>
    public LeaseInfo Recall(string leaseId, TimeSpan grace, EndReason reason, string detail) => throw new NotImplementedException();

    /// <summary>Waits until the lease is Ended or Stuck.</summary>
    public Task<LeaseInfo> WaitEndedAsync(string leaseId, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>The process is gone: all its leases end with ClientExited. No lease is granted to it any more.</summary>
    public void OwnerExited(LeaseOwner owner) => throw new NotImplementedException();

    /// <summary>NotFound if it is unknown, or of another uid than the one given.</summary>
    public LeaseInfo Get(string leaseId, uint? uid = null) => throw new NotImplementedException();

    public ImmutableArray<LeaseInfo> List(LeaseFilter filter) => throw new NotImplementedException();

    public ImmutableArray<DeviceInfo> Devices() => throw new NotImplementedException();

    public DeviceInfo Device(string name) => throw new NotImplementedException();

    /// <summary>The whole of every BAR, in order, without gaps.</summary>
    public ImmutableArray<Segment> Segments(string device) => throw new NotImplementedException();

    public DeviceInfo Cordon(string device, string comment) => throw new NotImplementedException();

    public DeviceInfo Uncordon(string device) => throw new NotImplementedException();

    /// <summary>Ends every lease of the device (DeviceReset), closes it, which is the proof that also frees stuck leases, opens and resets it. Returns how many leases ended by it.</summary>
    public Task<int> ResetDeviceAsync(string device, string detail, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Ended leases since the start.</summary>
    public long EndedCount => throw new NotImplementedException();

    public IDisposable Subscribe(ILeaseObserver observer) => throw new NotImplementedException();

    /// <summary>Grants nothing more, ends every lease (BrokerShutdown), waits for the proofs until cancelled, closes the devices whose threads answer.</summary>
    public Task ShutdownAsync(CancellationToken cancellation) => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
