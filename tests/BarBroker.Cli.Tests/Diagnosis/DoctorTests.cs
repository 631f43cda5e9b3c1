// SPDX-License-Identifier: Apache-2.0

using System.Text;
using BarBroker.Cli.Diagnosis;
using BarBroker.Cli.Tests.Binding;
using BarBroker.Configuration;
using BarBroker.V1;

namespace BarBroker.Cli.Tests.Diagnosis;

/// <summary>The doctor on hosts made of files, each with one thing wrong.</summary>
public sealed class DoctorTests : IDisposable
{
    private const string Address = "0000:01:00.0";
    private const uint ClientGroup = 500;
    private const uint OperatorGroup = 501;

    private readonly FakeSystem _system = new();
    private readonly Dictionary<string, uint> _groups = new() { ["barbroker"] = ClientGroup, ["barbroker-admin"] = OperatorGroup };
    private GetStatusResponse? _broker;
    private string? _scrapeError;
    private uint? _brokerUser;
    private string _metrics = "127.0.0.1:9464";

    public DoctorTests()
    {
        Kernel("6.19.3+deb14-amd64");
        _system.Put("sys/class/iommu/dmar0/name", "");
        _system.AddDriver("vfio-bar-lease");
        _system.AddDevice(Address, "vfio-bar-lease");
        Node("vfio/vfio", 0b110_110_110);
        Node("vfio/7", 0b110_000_000);
        Process("self", 1000, ClientGroup, OperatorGroup);
        Process("42", 990, ClientGroup);
        Limits("self", "8388608", "1024");
        Limits("42", "8388608", "1048576");
        _broker = new GetStatusResponse
        {
            Version = "1.0",
            Pid = 42,
            MetricsUrl = "http://127.0.0.1:9464/metrics",
            Devices = { new Device { Name = "nvme0", Address = Address, State = DeviceState.Ready, RevocationDomain = RevocationDomain.Selective } },
        };
        foreach (string socket in new[] { "broker.sock", "fd.sock", "admin.sock" })
        {
            _system.Put($"run/{socket}", "");
            File.SetUnixFileMode(_system.In($"run/{socket}"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        // The files are this test's user's, so a caller of that uid may open them.
        Process("self", Linux.Users.EffectiveUid, ClientGroup, OperatorGroup);
        Process("42", Linux.Users.EffectiveUid, ClientGroup);
    }

    [Fact]
    public async Task Examine_HealthyHost_EverythingIsOk()
    {
        var findings = await ExamineAsync();

        Assert.DoesNotContain(findings, static finding => finding.Result != "ok");
        string[] checks = ["kernel", "iommu", "modules", "vfio", "configuration", "groups", "broker", "sockets", "memlock", "files", "metrics", "driver", "group", "node", "served"];
        Assert.Equal(checks, findings.Select(static finding => finding.Check).Distinct());
    }

    [Fact]
    public async Task Examine_OldKernel_NoExport()
    {
        Kernel("6.12.48+deb13-amd64");

        await AssertAsync("fail", "kernel", "6.12.48", "6.19");
    }

    [Theory]
    [InlineData("7.3.4", "EADDRINUSE", "--buffer")]
    [InlineData("7.2.12", "EADDRINUSE", "--buffer")]
    public async Task Examine_KernelWithAKnownFault_NamesIt(string release, string message, string remedy)
    {
        Kernel(release);

        await AssertAsync("warn", "kernel-fault", message, remedy);
    }

    [Fact]
    public async Task Examine_LeakOfLinux73_WorkedAroundByTheDriverOnly()
    {
        Kernel("7.3.4");
        Assert.Contains(await ExamineAsync(), static finding => finding is { Check: "kernel-fault", Result: "ok" } && finding.Message.Contains("leaks", StringComparison.Ordinal));

        Directory.Delete(_system.In("sys/bus/pci/drivers/vfio-bar-lease"));
        Assert.Contains(await ExamineAsync(), static finding => finding is { Check: "kernel-fault", Result: "warn" } && finding.Message.Contains("leaks", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Examine_NoIommu_Fails()
    {
        Directory.Delete(_system.In("sys/class/iommu"), recursive: true);
        Directory.Delete(_system.In("sys/kernel/iommu_groups"), recursive: true);

        await AssertAsync("fail", "iommu", "/sys/class/iommu is empty", "intel_iommu=on");
    }

    [Fact]
    public async Task Examine_UnsafeModes_Warns()
    {
        _system.Put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        await AssertAsync("warn", "unsafe-modes", "enable_unsafe_noiommu_mode", "without that parameter");

        _system.Put("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
        await AssertAsync("warn", "unsafe-modes", "allow_unsafe_interrupts", "interrupt remapping");
    }

    [Fact]
    public async Task Examine_NoVfioDriver_SaysHowToLoadIt()
    {
        Directory.Delete(_system.In("sys/bus/pci/drivers/vfio-bar-lease"));
        await AssertAsync("warn", "modules", "cannot map buffers", "kernel/");

        Directory.Delete(_system.In("sys/bus/pci/drivers/vfio-pci"));
        await AssertAsync("fail", "modules", "neither", "modprobe vfio-pci");
    }

    [Fact]
    public async Task Examine_NoVfioNodes_Fails()
    {
        File.Delete(_system.In("dev/vfio/vfio"));

        await AssertAsync("fail", "vfio", "/dev/iommu", "vfio_iommu_type1");
    }

    [Fact]
    public async Task Examine_DeviceInASharedGroup_NamesTheNeighboursAndTheirDrivers()
    {
        _system.AddDevice("0000:01:00.1", "e1000");
        await AssertAsync("fail", "group", "0000:01:00.1 (8086:100e) with the driver e1000", "barctl device bind 0000:01:00.1");
    }

    [Fact]
    public async Task Examine_DeviceInASharedGroupThatDoesNoHarm_Ok()
    {
        _system.AddDevice("0000:01:00.1", "pci-stub");

        Assert.Contains(await ExamineAsync(), static finding => finding is { Check: "group", Result: "ok" } && finding.Message.Contains("0000:01:00.1", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("e1000", "has the driver e1000, which is not of vfio")]
    [InlineData(null, "has no driver")]
    public async Task Examine_WrongOrNoDriver_SaysHowToBind(string? driver, string message)
    {
        _system.AddDevice("0000:02:00.0", driver, group: "8");

        await AssertAsync("fail", "driver", message, "barctl device bind other --persist", "0000:02:00.0");
    }

    [Fact]
    public async Task Examine_NoSuchDevice_Fails() => await AssertAsync("fail", "device", "no such PCI device", "lspci", "0000:09:00.0");

    [Fact]
    public async Task Examine_DeviceWithoutGroup_Fails()
    {
        _system.AddDevice("0000:02:00.0", "vfio-pci", group: null);

        await AssertAsync("fail", "device", "no IOMMU group", "iommu", "0000:02:00.0");
    }

    [Fact]
    public async Task Examine_NodeIsMissing_Fails()
    {
        File.Delete(_system.In("dev/vfio/7"));

        await AssertAsync("fail", "node", "is not there", "vfio_iommu_type1");
    }

    [Fact]
    public async Task Examine_NodeIsNotForTheBroker_Fails()
    {
        Process("42", Linux.Users.EffectiveUid + 990, ClientGroup);

        await AssertAsync("fail", "node", "dev/vfio/7 (uid", "udevadm trigger --name-match=");
        Assert.DoesNotContain(await ExamineAsync(), static finding => finding is { Check: "node", Result: not "ok" } && finding.Message.Contains("vfio/vfio", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Examine_NodeOfVfioPciIsNotForTheBroker_SaysHowToBindItForGood()
    {
        _system.AddDevice("0000:02:00.0", "vfio-pci", group: "8");
        Node("vfio/8", 0b110_000_000);
        Process("42", Linux.Users.EffectiveUid + 990, ClientGroup);

        await AssertAsync("fail", "node", "other (0000:02:00.0): ", "barctl device bind 0000:02:00.0", "0000:02:00.0");
        await AssertAsync("fail", "node", "dev/vfio/8 (uid", "MODE=\"0600\"", "0000:02:00.0");
    }

    [Fact]
    public async Task Examine_NoBrokerRuns_TheNodesMustBeForTheUserThatItWillHave()
    {
        _broker = null;
        Assert.DoesNotContain(await ExamineAsync(), static finding => finding is { Check: "node", Result: not "ok" });

        _brokerUser = Linux.Users.EffectiveUid + 990;
        var findings = await Doctor.ExamineAsync(Host() with { RuntimeDirectory = BrokerOptions.DefaultRuntimeDirectory });
        Assert.Contains(findings, finding => finding is { Check: "node", Result: "fail" } && finding.Message.Contains($"runs as uid {_brokerUser}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Examine_NodeOpenToEverybody_Fails()
    {
        Node("vfio/7", 0b110_000_100);

        await AssertAsync("fail", "node", "is open to everybody", "chmod 600");
    }

    [Fact]
    public async Task Examine_ContainerNodeIsNotForTheBroker_Fails()
    {
        Node("vfio/vfio", 0b110_000_000);
        Process("42", Linux.Users.EffectiveUid + 990, ClientGroup);

        await AssertAsync("fail", "node", "without it no device can be opened", "chmod 666");
    }

    [Fact]
    public async Task Examine_NodeOpenToAGroup_Warns()
    {
        Assert.SkipUnless(Linux.Users.EffectiveUid == 0, "only root can give a file to another group");
        Node("vfio/7", 0b110_110_000);
        Assert.Contains(await ExamineAsync(), static finding => finding is { Check: "node", Result: "ok" } && finding.Message.Contains("dev/vfio/7", StringComparison.Ordinal));

        Linux.Users.SetGroupAndMode(_system.In("dev/vfio/7"), ClientGroup, 0b110_110_000);

        await AssertAsync("warn", "node", "is open to a group", "udevadm trigger");
    }

    [Fact]
    public async Task Examine_NodeOfAnotherUser_Warns()
    {
        Assert.SkipUnless(Linux.Users.EffectiveUid == 0, "only root can give a file to another user");
        Linux.Users.SetOwnerAndMode(_system.In("dev/vfio/7"), 4242, 0b110_000_000);

        await AssertAsync("warn", "node", "is another user's", "udevadm trigger");
    }

    [Fact]
    public async Task Examine_IommuNodeIsNotForTheBroker_FailsWhereTheDeviceUsesIt()
    {
        Node("iommu", 0);
        Process("42", 990 + Linux.Users.EffectiveUid, ClientGroup);
        File.SetUnixFileMode(_system.In("dev/vfio/7"), (UnixFileMode)0b110_000_110);
        Assert.DoesNotContain(await ExamineAsync(), static finding => finding.Check == "node" && finding.Message.Contains("dev/iommu", StringComparison.Ordinal));

        _system.Put($"sys/bus/pci/devices/{Address}/vfio-dev/vfio0/dev", "511:0\n");
        Node("vfio/devices/vfio0", 0b110_000_000);

        await AssertAsync("fail", "node", "dev/iommu (uid", "udevadm trigger --name-match=");
    }

    [Theory]
    [InlineData(DeviceState.Unavailable, RevocationDomain.Unspecified, "fail", "unavailable: burnt out")]
    [InlineData(DeviceState.Ready, RevocationDomain.None, "fail", "cannot be revoked at all")]
    [InlineData(DeviceState.Ready, RevocationDomain.Device, "warn", "can only be revoked as a whole")]
    [InlineData(DeviceState.Cordoned, RevocationDomain.Selective, "warn", "cordoned")]
    public async Task Examine_ServedDevice_WhatItCannotDo(DeviceState state, RevocationDomain domain, string result, string message)
    {
        var device = _broker!.Devices[0];
        (device.State, device.RevocationDomain, device.Detail) = (state, domain, "burnt out");

        await AssertAsync(result, "served", message, "");
    }

    [Fact]
    public async Task Examine_FaultyConfiguration_EveryFaultWithItsLine()
    {
        var findings = await Doctor.ExamineAsync(Host() with { Options = null, Faults = [new("leases.minTtl", 7, "is too long"), new("", 0, "cannot be read")] });

        Assert.Equal(
            ["/etc/b.json, line 7: leases.minTtl: is too long", "/etc/b.json: cannot be read"],
            findings.Where(static finding => finding is { Check: "configuration", Result: "fail" }).Select(static finding => finding.Message));
    }

    [Fact]
    public async Task Examine_Groups_MissingOrWithoutTheCaller()
    {
        _groups.Remove("barbroker");
        await AssertAsync("fail", "groups", "barbroker does not exist", "groupadd --system barbroker");

        Process("self", 4242, 4242);
        await AssertAsync("warn", "groups", "uid 4242) is not in it", "usermod -aG barbroker-admin");
        await AssertAsync("warn", "sockets", "is not for this user", "groups");
    }

    [Fact]
    public async Task Examine_SocketOpenToEverybodyOrGone_Fails()
    {
        File.SetUnixFileMode(_system.In("run/fd.sock"), (UnixFileMode)0b110_110_110);
        await AssertAsync("fail", "sockets", "is open to everybody", "chmod o-rwx");

        File.Delete(_system.In("run/fd.sock"));
        await AssertAsync("fail", "sockets", "fd.sock is not there", "restart");
    }

    [Fact]
    public async Task Examine_Broker_GoneOrOtherVersionOrStuck()
    {
        _broker!.Version = "0.9";
        await AssertAsync("warn", "broker", "is version 0.9, and barctl 1.0", "Restart");

        _broker.Stuck = 2;
        await AssertAsync("fail", "stuck", "2 leases are stuck", "operations.md");

        _broker = null;
        await AssertAsync("fail", "broker", "no broker answers: nobody there", "Start barbrokerd");
    }

    [Fact]
    public async Task Examine_Journal_WrittenOrNot()
    {
        _broker!.Journal = new JournalStatus { Path = "/var/lib/barbroker/journal.db" };
        Assert.Contains(await ExamineAsync(), static finding => finding is { Check: "journal", Result: "ok" });

        _broker.Journal = new JournalStatus { Path = "/var/lib/barbroker/journal.db", Problem = "the disk is full", Waiting = 3, Lost = 2 };
        await AssertAsync("fail", "journal", "journal.db is not written: the disk is full; 3 entries wait, 2 are lost", "BarBrokerJournalFails");

        _broker.Journal = new JournalStatus { Path = "/var/lib/barbroker/journal.db", Unproven = 2 };
        await AssertAsync("warn", "journal", "2 leases of before the restart without an end", "restart the machine");
    }

    [Fact]
    public async Task Examine_FewFiles_Warns()
    {
        Limits("42", "65536", "1024");

        await AssertAsync("warn", "files", "only 1024 files", "LimitNOFILE");
    }

    [Fact]
    public async Task Examine_Metrics_ExposedOrNotAnswering()
    {
        _metrics = "0.0.0.0:9464";
        await AssertAsync("warn", "metrics", "0.0.0.0:9464", "127.0.0.1:9464");

        _scrapeError = "refused";
        await AssertAsync("fail", "metrics", "does not answer: refused", "metrics.address");
    }

    [Fact]
    public async Task Examine_SimulatedDevicesOnly_TheKernelIsNoFailure()
    {
        Kernel("5.10.0");
        var options = Parse("""{ "name": "sim0", "kind": "simulated", "bars": [ { "size": "1MiB" } ] }""");

        var findings = await Doctor.ExamineAsync(Host() with { Options = options });

        Assert.Contains(findings, static finding => finding is { Check: "kernel", Result: "warn" });
        Assert.DoesNotContain(findings, static finding => finding.Result == "fail");
    }

    public void Dispose() => _system.Dispose();

    /// <summary>Exactly one check of this name does not pass, with these words.</summary>
    /// <param name="other">The address of another device, to be served as "other".</param>
    private async Task AssertAsync(string result, string check, string message, string remedy, string? other = null)
    {
        var findings = await Doctor.ExamineAsync(Host(other));

        Assert.Contains(findings, finding => finding.Result == result && finding.Check == check
            && finding.Message.Contains(message, StringComparison.Ordinal) && finding.Remedy!.Contains(remedy, StringComparison.Ordinal));
    }

    private Task<Finding[]> ExamineAsync() => Doctor.ExamineAsync(Host());

    private Host Host(string? other = null) => new(_system.Roots, _system.In("run"), "/etc/b.json")
    {
        Options = Parse(other is null ? Entry("nvme0", Address) : $"{Entry("nvme0", Address)}, {Entry("other", other)}"),
        Broker = _broker,
        BrokerError = "nobody there",
        Version = "1.0",
        FindUser = _ => _brokerUser,
        GroupsOf = static _ => [ClientGroup],
        FindGroup = name => _groups.TryGetValue(name, out uint group) ? group : null,
        ScrapeError = _ => Task.FromResult(_scrapeError),
    };

    private BrokerOptions Parse(string devices) => ConfigurationFile.Parse(
        Encoding.UTF8.GetBytes($$"""{ "sockets": { "clientGroup": "barbroker", "operatorGroup": "barbroker-admin" }, "metrics": { "address": "{{_metrics}}" }, "devices": [ {{devices}} ] }"""),
        "/etc/b.json",
        null,
        new ConfigurationFaults());

    private static string Entry(string name, string address) => $$"""{ "name": "{{name}}", "kind": "vfio", "address": "{{address}}" }""";

    private void Node(string path, int mode)
    {
        _system.Put($"dev/{path}", "");
        File.SetUnixFileMode(_system.In($"dev/{path}"), (UnixFileMode)mode);
    }

    private void Kernel(string release) => _system.Put("proc/sys/kernel/osrelease", release + "\n");

    private void Process(string process, uint uid, params uint[] groups) =>
        _system.Put($"proc/{process}/status", $"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{groups[0]}\t{groups[0]}\t{groups[0]}\t{groups[0]}\nGroups:\t{string.Join(' ', groups)} \n");

    private void Limits(string process, string locked, string files) =>
        _system.Put($"proc/{process}/limits", $"Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         {locked,-20} {locked,-20} bytes     \nMax open files            {files,-20} {files,-20} files     \n");
}
