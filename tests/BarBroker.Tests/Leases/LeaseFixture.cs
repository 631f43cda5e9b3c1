// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;

namespace BarBroker.Tests.Leases;

/// <summary>A lease manager over fake devices, with time and device threads in the test's hand.</summary>
internal sealed class LeaseFixture : ILeaseObserver, IDisposable
{
    public const ulong Page = FakeDevice.Page;

    private readonly Dictionary<string, PumpedExecutor> _executors = [];
    private readonly IDisposable _subscription;

    public LeaseFixture(LeaseOptions? options = null, params FakeDevice[] devices)
        : this(options, [.. (devices.Length == 0 ? [new FakeDevice("dev0")] : devices).Select(static d => new DeviceRegistration(d))])
    {
    }

    public LeaseFixture(LeaseOptions? options, DeviceRegistration[] devices, ulong firstEpoch = 1, bool start = true)
    {
        Devices = [.. devices.Select(static d => (FakeDevice)d.Device)];
        Manager = new LeaseManager(options ?? new LeaseOptions(), devices, firstEpoch, Time, (name, run) => _executors[name] = new PumpedExecutor(run));
        _subscription = Manager.Subscribe(this);
        if (!start)
            return;
        Manager.Start();
        Pump();
    }

    public VirtualTime Time { get; } = new();

    public LeaseManager Manager { get; }

    public ImmutableArray<FakeDevice> Devices { get; }

    public FakeDevice Device => Devices[0];

    /// <summary>Every change that was told, in order.</summary>
    public List<LeaseInfo> Told { get; } = [];

    public List<DeviceInfo> ToldDevices { get; } = [];

    public static LeaseOwner Owner(uint uid = 1000, int pid = 100) => new(uid, uid, pid, "test");

    public static AcquireRequest Explicit(params BarRange[] ranges) => Request(new BufferRequest(0, [.. ranges]));

    public static AcquireRequest Sized(ulong size, ulong alignment = 0, bool split = false) => Request(new BufferRequest(0, [], size, alignment, split));

    public static AcquireRequest Request(params BufferRequest[] buffers) => new(
        "dev0", [.. buffers], BufferAccess.ReadWrite, MemoryAttribute.NonCached, null, null, ImmutableDictionary<string, string>.Empty, "");

    public static BarRange Pages(ulong first, ulong count) => new(first * Page, count * Page);

    /// <summary>Lets every device thread do what it has to do.</summary>
    public void Pump()
    {
        while (_executors.Values.Any(static e => e.Count > 0))
        {
            foreach (PumpedExecutor executor in _executors.Values)
                executor.Pump();
        }
    }

    public PumpedExecutor Executor(string device) => _executors[device];

    /// <summary>Lets time pass in steps that the sweep can follow, so that it is no stall.</summary>
    public void Pass(TimeSpan span)
    {
        for (TimeSpan step = TimeSpan.FromMilliseconds(250); span > TimeSpan.Zero; span -= step)
            Time.Advance(span < step ? span : step);
    }

    public Grant Acquire(AcquireRequest request, LeaseOwner? owner = null)
    {
        Task<Grant> acquire = Manager.AcquireAsync(request, owner ?? Owner(), CancellationToken.None).AsTask();
        Pump();
        return Wait(acquire);
    }

    /// <summary>Acquires and redeems.</summary>
    public LeaseInfo Active(AcquireRequest request, LeaseOwner? owner = null)
    {
        owner ??= Owner();
        return Manager.Redeem(Acquire(request, owner).Ticket.Span, owner.Uid).Lease;
    }

    public LeaseException Refused(AcquireRequest request, LeaseOwner? owner = null) => Assert.Throws<LeaseException>(() => Acquire(request, owner));

    public LeaseInfo Get(string id) => Manager.Get(id);

    /// <summary>The result of a task that is done, or only has to be scheduled.</summary>
    public static T Wait<T>(Task<T> task)
    {
        ((IAsyncResult)task).AsyncWaitHandle.WaitOne(TimeSpan.FromSeconds(20));
        Assert.True(task.IsCompleted, "the call is still waiting after 20 s");
        return task.GetAwaiter().GetResult();
    }

    void ILeaseObserver.LeaseChanged(LeaseInfo lease) => Told.Add(lease);

    void ILeaseObserver.DeviceChanged(DeviceInfo device) => ToldDevices.Add(device);

    public void Dispose()
    {
        _subscription.Dispose();
        // The meter is found by everybody who listens, and would keep all of this alive.
        Manager.Metrics.Dispose();
        foreach (FakeDevice device in Devices)
            Assert.Empty(device.Violations);
    }
}
