// SPDX-License-Identifier: Apache-2.0

using BarBroker.Cli.Binding;
using BarBroker.Linux;

namespace BarBroker.Cli.Tests.Binding;

public sealed class PersistentBindingsTests : BindingTestBase
{
    private const string Second = "0000:02:00.0";

    private string Rules => Kernel.In("etc/udev/rules.d/70-barbroker.rules");

    [Fact]
    public void Bind_Persist_WritesOneLineADevice()
    {
        Kernel.AddDevice(Address);
        Kernel.AddDevice(Second, group: "8");

        Bind(persist: true, address: Second);
        Bind(persist: true);
        Assert.True(Bind(persist: true).Persistent);

        string[] lines = File.ReadAllLines(Rules);
        Assert.Equal(3, lines.Length);
        Assert.StartsWith("# Written by barctl", lines[0], StringComparison.Ordinal);
        Assert.Equal(
            $"ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{Address}\", ATTR{{vendor}}==\"0x8086\", ATTR{{device}}==\"0x100e\", "
            + $"ATTR{{driver_override}}=\"vfio-pci\", RUN+=\"/usr/bin/barctl device bind {Address}\"",
            lines[1]);
        Assert.Contains(Second, lines[2], StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead, File.GetUnixFileMode(Rules));
    }

    [Fact]
    public void Bind_BrokerHasAUser_GetsTheNodeForItself()
    {
        Kernel.AddDevice(Address);
        Kernel.Put("dev/vfio/7", "");
        BrokerUser = Users.EffectiveUid;

        Assert.Empty(Bind().Warnings);

        Assert.Equal((Users.EffectiveUid, 0b110_000_000u), FileOwner.Of(Kernel.In("dev/vfio/7")) is { } owner ? (owner.Uid, owner.Mode) : default);
    }

    [Fact]
    public void Bind_PersistWithADriver_AsksForItAtBoot()
    {
        Kernel.AddDevice(Address);

        Bind(driver: "vfio-pci", persist: true);

        Assert.Contains($"barctl device bind {Address} --driver vfio-pci\"", File.ReadAllText(Rules), StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_WithoutPersist_LeavesTheLine()
    {
        Kernel.AddDevice(Address);
        Bind(persist: true);

        Assert.True(Bind().Persistent);
    }

    [Fact]
    public void Unbind_Forget_RemovesTheLineAndTheLastOneTheFile()
    {
        Kernel.AddDevice(Address);
        Kernel.AddDevice(Second, group: "8");
        Bind(persist: true);
        Bind(persist: true, address: Second);

        Assert.False(Unbind(forget: true).Persistent);
        Assert.Contains(Second, Assert.Single(File.ReadAllLines(Rules).Skip(1)), StringComparison.Ordinal);
        new PersistentBindings(Kernel.Roots, "/usr/bin/barctl").Remove(Second);

        Assert.False(File.Exists(Rules));
    }

    [Fact]
    public void Unbind_KeptLine_IsWarnedOf()
    {
        Kernel.AddDevice(Address);
        Bind(persist: true);

        var document = Unbind();

        Assert.True(document.Persistent);
        Assert.Contains("at the next boot", Assert.Single(document.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_FileOfSomebodyElse_IsNotTouched()
    {
        Kernel.AddDevice(Address);
        Kernel.Put("etc/udev/rules.d/70-barbroker.rules", "# mine\n");

        var document = Bind(persist: true);

        Assert.Equal(("failed", "vfio-pci"), (document.Result, document.Driver));
        Assert.Contains("was not written by barctl", Assert.Single(document.Errors), StringComparison.Ordinal);
        Assert.Equal("# mine\n", File.ReadAllText(Rules));
    }

    [Fact]
    public void Add_ProgramWithABlank_IsRefused()
    {
        var device = Kernel.AddDevice(Address);

        var exception = Assert.Throws<IOException>(() => new PersistentBindings(Kernel.Roots, "/opt/my tools/barctl").Add(device, "vfio-pci", null));

        Assert.Contains("/opt/my tools/barctl", exception.Message, StringComparison.Ordinal);
    }
}
