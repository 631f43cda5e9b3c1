// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.FdChannel;
using BarBroker.Hosting;
using BarBroker.Leases;
using BarBroker.Linux.Time;
using BarBroker.Processes;
using BarBroker.Testing;

namespace BarBroker.Tests.FdChannel;

/// <summary>An fd socket in a directory of its own, and the leases behind it.</summary>
public abstract class FdChannelTestBase : TestBase
{
    private protected TestDirectory Directory { get; private set; } = null!;

    private protected string SocketPath => Directory.File("fd.sock");

    private protected LeaseManager Leases { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory = Own(new TestDirectory());
    }

    /// <summary>The registry does not observe the leases: it would end those of owners that never connected.</summary>
    private protected async Task<ClientRegistry> StartAsync(LeaseOptions leases, FdChannelOptions options, params DeviceRegistration[] devices)
    {
        Leases = Own(new LeaseManager(leases, devices, 1, new BootTimeProvider()));
        Leases.Start();
        await Wait.For(Leases.WaitFirstOpenAsync(Cancellation), "the devices to open");
        var registry = Own(new ClientRegistry(Leases.OwnerExited, Logs.CreateLogger<ClientRegistry>()));
        var listener = UnixListener.Bind(SocketPath, SocketType.Seqpacket, new SocketAccess((uint?)null));
        Own(new FdChannelServer(listener, Leases, registry, options, Logs.CreateLogger<FdChannelServer>())).Start();
        return registry;
    }

    private protected FdChannelClient Connect() => Own(new FdChannelClient(SocketPath));
}
