// SPDX-License-Identifier: Apache-2.0

using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf;
using Grpc.Core;

namespace BarBroker.EndToEnd.Tests.HostileInput;

/// <summary>
/// A daemon under attack, beside a client that behaves. After each test: that client has had no failure and goes on, the daemon has no more fds open than before,
/// and its log has no Error.
/// </summary>
public abstract class HostileTestBase : TestBase
{
    internal const ulong BarSize = 4 << 20;
    private protected const int LeasesPerUid = 32;
    private protected const int ConnectionsPerUid = 64;

    private int _filesBefore;
    private Citizen _citizen = null!;

    private protected TestDirectory Directory { get; private set; } = null!;

    private protected Daemon Broker { get; private set; } = null!;

    private protected HolderProcesses Processes { get; private set; } = null!;

    private protected RpcClient Rpc { get; private set; } = null!;

    private protected RpcClient Operator { get; private set; } = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory = Own(new TestDirectory());
        File.SetUnixFileMode(Directory.Path, (UnixFileMode)0b111_001_001);
        Processes = Own(new HolderProcesses(Directory.Path));
        string configuration = new BrokerConfiguration()
            .Device("sim0", "4MiB")
            .Set("limits", "leasesPerUid", LeasesPerUid)
            .Set("limits", "connectionsPerUid", ConnectionsPerUid)
            .Set("leases", "ticketTtl", "1m")
            .Write(Directory.Path);
        Broker = Own(await Daemon.StartAsync(Directory.Path, configuration));
        Rpc = Own(RpcClient.Dial(Broker.ClientSocket));
        Operator = Own(RpcClient.Dial(Broker.OperatorSocket));
        await Rpc.Leases.ListDevicesAsync(new ListDevicesRequest());
        await Operator.Operator.GetStatusAsync(new GetStatusRequest());
        _citizen = Own(await Citizen.StartAsync(Broker));
        await _citizen.AssertGoesOnAsync();

        // Those of the citizen's leases, which come and go, and what the runtime opens once and keeps.
        _filesBefore = Broker.OpenFiles + 8;
    }

    public override async ValueTask DisposeAsync()
    {
        try
        {
            if (TestContext.Current.TestState?.Result == TestResult.Passed)
            {
                await _citizen.AssertGoesOnAsync();
                await Wait.Until(() => Broker.OpenFiles <= _filesBefore, $"the daemon has no more than {_filesBefore} fds open; it has {Broker.OpenFiles}", Patience.Long);
                Assert.True(Broker.Errors.Count == 0, string.Join("\n", Broker.Errors.Take(5)));
                TestContext.Current.TestOutputHelper?.WriteLine($"meanwhile the client that behaves had {_citizen.Cycles} leases");
            }
        }
        finally
        {
            await base.DisposeAsync();
        }
    }

    internal static BufferRequest Pages(params (ulong Offset, ulong Length)[] ranges) =>
        new() { Ranges = { ranges.Select(range => new V1.Range { Offset = range.Offset, Length = range.Length }) } };

    private protected async Task<AcquireResponse> AcquireAsync() => await Rpc.Leases.AcquireAsync(new AcquireRequest { Buffers = { new BufferRequest { Size = 4096 } } });

    private protected async Task<Lease> GetAsync(string id) => (await Operator.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = id })).Lease;

    /// <summary>The call is refused with this code; gives the detail, empty if there is none.</summary>
    private protected static async Task<ErrorDetail> RefusedAsync<T>(StatusCode code, AsyncUnaryCall<T> call)
    {
        using (call)
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
            Assert.True(refusal.StatusCode == code, $"{code} was expected: {refusal.Message}");
            return refusal.GetRpcStatus()?.GetDetail<ErrorDetail>() ?? new ErrorDetail();
        }
    }

    /// <summary>A process of another user, who is in the clients' group.</summary>
    private protected Task<HolderProcess> StartStrangerAsync(string name)
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "a process of another user is needed, and only root can start one");
        return Processes.StartAsync(name, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups");
    }

    private protected static ByteString RandomTicket()
    {
        var ticket = new byte[16];
        System.Security.Cryptography.RandomNumberGenerator.Fill(ticket);
        return ByteString.CopyFrom(ticket);
    }
}
