// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Tests.Binding;

/// <summary>Binding on a system made of files. With a real kernel: tests/vm/guest/t-bind.sh.</summary>
public abstract class BindingTestBase : IDisposable
{
    private protected const string Address = "0000:01:00.0";

    private protected FakeSystem Kernel { get; } = new();

    /// <summary>Modules that can be loaded; loading one adds the driver of its name.</summary>
    private protected HashSet<string> Installed { get; } = ["vfio_iommu_type1"];

    private protected BrokerState? Broker { get; set; }

    /// <summary>The user that nodes are given to; null: there is none.</summary>
    private protected uint? BrokerUser { get; set; }

    private protected string[] IpAddresses { get; set; } = [];

    private protected BindingDocument Bind(string? driver = null, bool persist = false, bool dryRun = false, string address = Address) =>
        Binder().Bind(new BindingTarget(address, address), driver, persist, dryRun);

    private protected BindingDocument Unbind(bool forget = false, bool dryRun = false) => Binder().Unbind(new BindingTarget(Address, Address), forget, dryRun);

    /// <summary>Neither bound nor touched, and this is why.</summary>
    private protected void AssertRefused(BindingDocument document, params string[] reasons)
    {
        Assert.Equal("refused", document.Result);
        Assert.All(reasons, reason => Assert.Contains(document.Errors, error => error.Contains(reason, StringComparison.Ordinal)));
        Assert.Equal(reasons.Length, document.Errors.Count);
        Assert.Empty(Kernel.Writes);
    }

    private DeviceBinder Binder() => new(
        Kernel.Roots,
        new DriverSwitch(Kernel.Roots.Sys, Kernel),
        new Obstacles(Kernel.Roots, Broker, _ => IpAddresses),
        new PersistentBindings(Kernel.Roots, "/usr/bin/barctl"),
        new BrokerNodes(Kernel.Roots, BrokerUser),
        Load);

    private string? Load(string module)
    {
        if (!Installed.Contains(module))
        {
            return $"modprobe {module}: FATAL: Module {module} not found";
        }

        Kernel.AddDriver(module);
        return null;
    }

    public void Dispose()
    {
        Kernel.Dispose();
        GC.SuppressFinalize(this);
    }
}
