// SPDX-License-Identifier: Apache-2.0

using BarBroker.Devices.Vfio;
using BarBroker.Linux.Pci;

namespace BarBroker.Tests.Devices.Vfio;

/// <summary>When a closed device counts as closed. The cases with a real kernel are in tests/vm/guest/t-vfio-device.sh.</summary>
public sealed class VfioCloseProofTests : IDisposable
{
    private const string Address = "0000:01:00.0";

    private readonly FakeSysfs _sysfs = new();

    public VfioCloseProofTests() => _sysfs.AddDevice(Address, driver: "vfio-pci", group: "7", vfioName: "vfio0");

    [Fact]
    public void Demand_GroupOpens_IsProof()
    {
        _sysfs.AddGroupNode("7");

        Proof(0, 1).Demand();
    }

    [Fact]
    public void Demand_GroupIsGone_IsProof()
    {
        _sysfs.AddGroupClass();

        Proof(null, null).Demand();
    }

    [Fact]
    public void Demand_GroupNodeHidden_IsNoProof()
    {
        _sysfs.AddGroupClass("7");

        Assert.Throws<IOException>(Proof(null, null).Demand);
    }

    [Fact]
    public void Demand_KernelWithoutGroups_GoesByTheEnableCount()
    {
        Proof(0, 1).Demand();
        Proof(2, 3, now: 2).Demand();
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(0, 0, 0)]
    [InlineData(0, 2, 0)]
    [InlineData(1, 2, 0)]
    [InlineData(null, 1, 0)]
    [InlineData(0, null, 0)]
    public void Demand_EnableCountNotUpByOneAndBack_IsNoProof(int? before, int? open, int now)
    {
        var exception = Assert.Throws<IOException>(Proof(before, open, now).Demand);

        Assert.Contains("nothing proves that nobody else holds it", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Demand_FunctionIsGone_IsProof()
    {
        var proof = Proof(0, 1);
        Directory.Delete(_sysfs.Of(Address), recursive: true);

        proof.Demand();
    }

    public void Dispose() => _sysfs.Dispose();

    private VfioCloseProof Proof(int? before, int? open, int now = 0)
    {
        _sysfs.SetEnabled(Address, now);
        return new VfioCloseProof(new PciNode(_sysfs.Sys, Address), VfioGroupSlot.Of(_sysfs.Dev, "7"), _sysfs.Sys, before, open);
    }
}
