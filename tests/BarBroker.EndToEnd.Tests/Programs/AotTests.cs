// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;

namespace BarBroker.EndToEnd.Tests.Programs;

/// <summary>The programs that users get.</summary>
public sealed class AotTests : TestBase
{
    private static readonly string[] AsNobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

    [Theory]
    [InlineData("barbrokerd")]
    [InlineData("barctl")]
    public async Task Program_Published_IsNativeAndNeedsNoRuntime(string name)
    {
        string program = Published(name);
        var header = new byte[20];
        await using (var file = File.OpenRead(program))
        {
            await file.ReadExactlyAsync(header, Cancellation);
        }

        // e_ident, and e_type 3: a position-independent executable (elf(5)).
        Assert.Equal([0x7f, (byte)'E', (byte)'L', (byte)'F', 2], header[..5]);
        Assert.Equal(3, BitConverter.ToUInt16(header, 16));
        string[] beside = [.. Directory.GetFiles(Path.GetDirectoryName(program)!).Select(file => Path.GetFileName(file)!)];
        Assert.DoesNotContain(beside, file => file.EndsWith(".dll", StringComparison.Ordinal) || file.EndsWith(".runtimeconfig.json", StringComparison.Ordinal));
        Assert.All(beside, file => Assert.True(!file.EndsWith(".so", StringComparison.Ordinal) || file is "libMonoPosixHelper.so" || (file == "libe_sqlite3.so" && name == "barbrokerd"), $"{file} would have to be installed beside {name}"));

        // Nothing but the C library and what belongs to it.
        string libraries = await Tool.RunAsync("ldd", program);
        string[] known = ["linux-vdso", "ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libgcc_s.so", "libstdc++.so", "libz.so"];
        Assert.All(libraries.Split('\n'), line => Assert.True(known.Any(library => line.Contains(library, StringComparison.Ordinal)), $"{name} needs {line.Trim()}"));
    }

    [Fact]
    public async Task Check_ExampleConfiguration_IsOk()
    {
        string example = Path.Combine(Repository.Root, "deploy", "broker.json");
        Assert.SkipUnless(File.Exists(example), "deploy/broker.json is not there yet");

        // The package makes the groups; here others stand for them.
        using var directory = new TestDirectory();
        string configuration = directory.File("broker.json");
        string text = await File.ReadAllTextAsync(example, Cancellation);
        await File.WriteAllTextAsync(
            configuration,
            text.Replace("\"barbroker-admin\"", "\"root\"", StringComparison.Ordinal).Replace("\"barbroker\"", "\"nogroup\"", StringComparison.Ordinal),
            Cancellation);

        string output = await Tool.RunAsync(Published("barbrokerd"), "--config", configuration, "--check");

        Assert.Equal($"{configuration}: OK", output.Trim());
    }

    [Fact]
    public async Task Daemon_StartedByAnOrdinaryUser_ServesHimAndNobodyElse()
    {
        using var directory = Reachable();
        string program = Copy(directory, "barbrokerd");
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0b111_111_111);
        string configuration = directory.File("own.json");
        await File.WriteAllTextAsync(
            configuration,
            """{ "metrics": { "enabled": false }, "devices": [ { "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "1MiB" } ] } ] }""",
            Cancellation);
        string[] launcher = Users.EffectiveUid == 0 ? AsNobody : [];
        uint uid = Users.EffectiveUid == 0 ? 65534 : Users.EffectiveUid;

        await using var broker = await Daemon.StartProgramAsync(program, directory.Path, configuration, launcher);

        string identity = await File.ReadAllTextAsync($"/proc/{broker.Pid}/status", Cancellation);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"Uid:\t{uid}\t{uid}\t{uid}\t{uid}"), identity, StringComparison.Ordinal);
        foreach (string socket in new[] { broker.ClientSocket, broker.FdSocket, broker.OperatorSocket })
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(socket));
        }

        // Root opens every socket; for the owner himself another process would be needed, and the kernel's rule is the mode above.
        using var client = RpcClient.Dial(broker.ClientSocket);
        var granted = await client.Leases.AcquireAsync(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } }, cancellationToken: Cancellation);
        Assert.NotNull((await FdClient.RedeemAsync(broker.FdSocket, granted.Ticket)).Delivery);
        Assert.Empty(broker.Errors);
    }

    private static string Published(string name)
    {
        string? program = BrokerProgram.FindPublished(name);
        Assert.SkipWhen(program is null, $"{name} is not published; scripts/publish does it");
        return program;
    }

    /// <summary>A directory and a copy of the program in it, where every user reaches it.</summary>
    private static TestDirectory Reachable()
    {
        var directory = new TestDirectory();
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0b111_101_101);
        return directory;
    }

    /// <summary>What is installed of it: the program, and the libraries that lie beside it.</summary>
    private static string Copy(TestDirectory directory, string name)
    {
        string program = directory.File(name);
        File.Copy(Published(name), program);
        foreach (string library in Directory.GetFiles(Path.GetDirectoryName(Published(name))!, "*.so"))
        {
            File.Copy(library, directory.File(Path.GetFileName(library)));
        }

        return program;
    }
}
