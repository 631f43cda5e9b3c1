// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Tests.Binding;

public sealed class DeviceBinderTests : BindingTestBase
{
    [Fact]
    public void Bind_FreeDevice_GoesToVfioPciByOverrideFirst()
    {
        var device = Kernel.AddDevice(Address, "e1000", code: "0100");

        var document = Bind();

        Assert.Equal(("bound", "vfio-pci", "e1000"), (document.Result, document.Driver, document.PreviousDriver));
        Assert.Equal("vfio-pci", device.Driver);
        Assert.Equal(
            [$"devices/{Address}/driver_override: vfio-pci", $"drivers/e1000/unbind: {Address}", $"drivers/vfio-pci/bind: {Address}"], Kernel.Writes);
    }

    [Fact]
    public void Bind_VariantLoaded_IsPreferred()
    {
        Kernel.AddDevice(Address);
        Kernel.AddDriver("vfio-bar-lease");

        Assert.Equal("vfio-bar-lease", Bind().Driver);
    }

    [Fact]
    public void Bind_VariantInstalled_IsLoadedAndTakesADeviceOfVfioPci()
    {
        Kernel.AddDevice(Address, "vfio-pci");
        Installed.Add("vfio-bar-lease");

        var document = Bind();

        Assert.Equal(("bound", "vfio-bar-lease", "vfio-pci"), (document.Result, document.Driver, document.PreviousDriver));
    }

    [Fact]
    public void Bind_AlreadyThere_WritesNothing()
    {
        Kernel.AddDevice(Address, "vfio-pci");

        Assert.Equal("unchanged", Bind().Result);
        Assert.Empty(Kernel.Writes);
    }

    [Fact]
    public void Bind_DriverNotInstalled_FailsAndWritesNothing()
    {
        Kernel.AddDevice(Address, "e1000", code: "0100");

        var document = Bind(driver: "mlx5-vfio-pci");

        Assert.Equal("failed", document.Result);
        Assert.Contains("no PCI driver mlx5-vfio-pci", Assert.Single(document.Errors), StringComparison.Ordinal);
        Assert.Empty(Kernel.Writes);
    }

    [Fact]
    public void Bind_DriverRefuses_EverythingIsAsBefore()
    {
        var device = Kernel.AddDevice(Address, "e1000", code: "0100");
        Kernel.Refusing.Add("vfio-pci");

        var document = Bind();

        Assert.Equal(("failed", "e1000"), (document.Result, document.Driver));
        string error = Assert.Single(document.Errors);
        Assert.Contains("EINVAL", error, StringComparison.Ordinal);
        Assert.Contains("it is with its driver e1000 again", error, StringComparison.Ordinal);
        Assert.Equal(("e1000", null), (device.Driver, device.DriverOverride));
    }

    [Fact]
    public void Bind_DriverRefusesAndTheOldOneToo_SaysHowItWasLeft()
    {
        var device = Kernel.AddDevice(Address, "e1000", code: "0100");
        Kernel.Refusing.UnionWith(["vfio-pci", "e1000"]);

        string error = Assert.Single(Bind().Errors);

        Assert.Contains("could not be restored", error, StringComparison.Ordinal);
        Assert.Contains("it has no driver, before that e1000, and its driver_override is ''", error, StringComparison.Ordinal);
        Assert.Null(device.Driver);
    }

    [Fact]
    public void Bind_NeighbourWithADriver_IsWarnedOf()
    {
        Kernel.AddDevice(Address);
        Kernel.AddDevice("0000:01:00.1", "snd_hda_intel", code: "0403");
        Kernel.AddDevice("0000:00:01.0", "pcieport", code: "0604");

        var document = Bind();

        Assert.Equal("bound", document.Result);
        string warning = Assert.Single(document.Warnings);
        Assert.Contains("0000:01:00.1 (8086:100e) with the driver snd_hda_intel", warning, StringComparison.Ordinal);
        Assert.DoesNotContain("0000:00:01.0", warning, StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_DryRun_WritesNothing()
    {
        Kernel.AddDevice(Address, "e1000", code: "0100");

        var document = Bind(persist: true, dryRun: true);

        Assert.Equal(("planned", "vfio-pci"), (document.Result, document.Driver));
        Assert.Empty(Kernel.Writes);
        Assert.False(Directory.Exists(Kernel.Roots.Etc));
    }

    [Fact]
    public void Unbind_NativeDriverThere_GetsItBack()
    {
        var device = Kernel.AddDevice(Address, "e1000", code: "0100");
        Bind();

        var document = Unbind();

        Assert.Equal(("unbound", "e1000", "vfio-pci"), (document.Result, document.Driver, document.PreviousDriver));
        Assert.Equal(("e1000", null), (device.Driver, device.DriverOverride));
    }

    [Fact]
    public void Unbind_BoundToAnotherByForce_GoesBack()
    {
        Kernel.AddDevice(Address, "e1000", code: "0100");
        Kernel.AddDriver("pci-stub");
        Assert.NotEmpty(Bind(driver: "pci-stub").Warnings);

        Assert.Equal("e1000", Unbind().Driver);
    }

    [Fact]
    public void Unbind_NobodyWantsIt_IsWithoutDriver()
    {
        Kernel.Native = null;
        Kernel.AddDevice(Address, "vfio-pci");

        var document = Unbind();

        Assert.Equal(("unbound", null), (document.Result, document.Driver));
    }

    [Fact]
    public void Unbind_NativeDriver_IsLeftAlone()
    {
        Kernel.AddDevice(Address, "e1000");

        AssertRefused(Unbind(), "has the driver e1000, which is not of vfio");
    }
}
