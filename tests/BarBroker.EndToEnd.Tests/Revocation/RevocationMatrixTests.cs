// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Testing;
using BarBroker.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>
/// Every way a lease can end, against everybody who may hold its fds: afterwards no way leads to the memory, and leases that did not end notice nothing. A broker
/// that is killed is not among them: see <see cref="BrokerKilledTests"/>.
/// </summary>
public sealed class RevocationMatrixTests : TestBase
{
    private const string Bus = "SIGBUS";
    private static readonly TimeSpan Unlimited = TimeSpan.FromHours(1);

    /// <summary>For what ends by itself. Longer than a busy machine may keep a process from giving its sign of life.</summary>
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(5);

    private Scene _scene = null!;

    [Theory]
    [InlineData(LeaseEnd.Released, EndReason.Released)]
    [InlineData(LeaseEnd.TtlPassed, EndReason.Expired)]
    [InlineData(LeaseEnd.ClientHangs, EndReason.ClientHung)]
    [InlineData(LeaseEnd.ClientKilled, EndReason.ClientExited)]
    [InlineData(LeaseEnd.ClientStopped, EndReason.Expired)]
    [InlineData(LeaseEnd.OperatorRevokes, EndReason.Operator)]
    [InlineData(LeaseEnd.RecallDeadlinePassed, EndReason.Operator)]
    [InlineData(LeaseEnd.DeviceDrained, EndReason.Operator)]
    [InlineData(LeaseEnd.DeviceVanished, EndReason.DeviceLost)]
    [InlineData(LeaseEnd.DeviceReset, EndReason.DeviceReset)]
    [InlineData(LeaseEnd.BrokerTerminated, EndReason.BrokerShutdown)]
    public async Task LeaseEnds_HeldByFiveProcesses_NobodyHasAccess(LeaseEnd end, EndReason reason)
    {
        bool isTtlShort = end is LeaseEnd.TtlPassed or LeaseEnd.ClientStopped;
        _scene = Own(await Scene.MakeAsync(isTtlShort ? Short : Unlimited, end == LeaseEnd.ClientHangs ? Short : null));
        await AssertEverybodyHasAccessAsync();
        var others = Others(end);
        long[] passesBefore = [.. await Task.WhenAll(others.Select(PassesAsync))];

        await CauseAsync(end);
        await WaitEndedAsync(end, reason);

        await AssertNobodyHasAccessAsync(end);
        await AssertToldAsync(end, reason);
        for (int i = 0; i < others.Length; i++)
        {
            await AssertUndisturbedAsync(others[i], passesBefore[i]);
        }

        await AssertRangesAreFreeAsync(end);

        // That a device stays away is an Error in the log; nothing else is.
        bool isDeviceAway = end == LeaseEnd.DeviceVanished;
        Assert.DoesNotContain(_scene.Broker.Errors, line => !isDeviceAway || !line.Contains("Device sim0 is unavailable", StringComparison.Ordinal));
    }

    /// <summary>Those whose leases must not notice the end: on the same BAR, unless the whole device is meant; and on the other device.</summary>
    private LeaseHolder[] Others(LeaseEnd end) => end switch
    {
        LeaseEnd.BrokerTerminated => [],
        LeaseEnd.DeviceDrained or LeaseEnd.DeviceVanished or LeaseEnd.DeviceReset => [_scene.Elsewhere],
        _ => [_scene.Neighbour, _scene.Elsewhere],
    };

    private async Task CauseAsync(LeaseEnd end)
    {
        var client = _scene.Client;
        var forOperator = _scene.Operator.Operator;
        switch (end)
        {
            case LeaseEnd.Released:
                Assert.Equal(LeaseState.Ended, (await client.Leases.ReleaseAsync(new ReleaseRequest { LeaseId = client.Lease.Id })).Lease.State);
                break;
            case LeaseEnd.TtlPassed:
                await client.Process.AskAsync("beat off");
                break;
            case LeaseEnd.ClientHangs:
                await client.Process.AskAsync("beat hung");
                break;
            case LeaseEnd.ClientKilled:
                client.Process.Signal(Signum.SIGKILL);
                break;
            case LeaseEnd.ClientStopped:
                client.Process.Signal(Signum.SIGSTOP);
                break;
            case LeaseEnd.OperatorRevokes:
                await DrainAsync(forOperator.Revoke(new RevokeRequest { LeaseIds = { client.Lease.Id }, Comment = "matrix" }), response => response.Lease);
                break;
            case LeaseEnd.RecallDeadlinePassed:
                await RecallAsync();
                break;
            case LeaseEnd.DeviceDrained:
                await DrainAsync(forOperator.DrainDevice(new DrainDeviceRequest { Device = "sim0", Grace = Duration.FromTimeSpan(TimeSpan.FromSeconds(1)) }), response => response.Lease ?? new Lease { State = LeaseState.Ended });
                break;
            case LeaseEnd.DeviceVanished:
                await File.WriteAllTextAsync(_scene.Faults, "vanish\n", Cancellation);
                break;
            case LeaseEnd.DeviceReset:
                Assert.Equal(2u, (await forOperator.ResetDeviceAsync(new ResetDeviceRequest { Device = "sim0" })).Ended);
                break;
            case LeaseEnd.BrokerTerminated:
                Assert.Equal(0, await _scene.Broker.StopAsync());
                break;
        }
    }

    /// <summary>Until the deadline of a recall nothing is taken away.</summary>
    private async Task RecallAsync()
    {
        var request = new RevokeRequest { LeaseIds = { _scene.Client.Lease.Id }, Grace = Duration.FromTimeSpan(Short), NoWait = true };
        await DrainAsync(_scene.Operator.Operator.Revoke(request), response => response.Lease, LeaseState.Recalled);
        await AssertEverybodyHasAccessAsync();
        await Wait.Until(() => _scene.Client.Process.Notices.Any(lease => lease.State == LeaseState.Recalled), "the client is told of the recall", Patience.Long);
    }

    private static async Task DrainAsync<T>(AsyncServerStreamingCall<T> call, Func<T, Lease> leaseOf, LeaseState expected = LeaseState.Ended)
    {
        using (call)
        {
            await foreach (var response in call.ResponseStream.ReadAllAsync(Cancellation))
            {
                Assert.Equal(expected, leaseOf(response).State);
            }
        }
    }

    private async Task WaitEndedAsync(LeaseEnd end, EndReason reason)
    {
        if (end == LeaseEnd.BrokerTerminated)
        {
            return;
        }

        var lease = await _scene.LookAsync();
        await Wait.Until(
            async () => (lease = await _scene.LookAsync()).State == LeaseState.Ended, $"the lease ends after {end}", Patience.Long);
        Assert.Equal(reason, lease.EndReason);
    }

    private async Task AssertEverybodyHasAccessAsync()
    {
        foreach (var holder in new[] { _scene.Client.Process, _scene.Child, _scene.Third, _scene.PathOnly })
        {
            var ways = await holder.ProbeAsync(_scene.Client.Bytes);
            Assert.NotEmpty(ways);
            Assert.All(ways, way => Assert.True(way.Value == "ACCESS", $"{holder.Name} has no access by {way.Key} while the lease lives: {way.Value}"));
        }
    }

    private async Task AssertNobodyHasAccessAsync(LeaseEnd end)
    {
        if (end == LeaseEnd.ClientStopped)
        {
            _scene.Client.Process.Signal(Signum.SIGCONT);
        }

        await _scene.Late.AskAsync("take");
        HolderProcess[] mapped = end == LeaseEnd.ClientKilled ? [_scene.Child, _scene.Third] : [_scene.Client.Process, _scene.Child, _scene.Third];
        foreach (var holder in mapped)
        {
            var ways = await AssertNoAccessAsync(holder, end);
            Assert.Equal((Bus, Bus), (ways["read"], ways["write"]));
        }

        var reopened = await AssertNoAccessAsync(_scene.PathOnly, end);
        Assert.Equal(["reopen"], reopened.Keys);
        await AssertNoAccessAsync(_scene.Late, end);
    }

    private async Task<IReadOnlyDictionary<string, string>> AssertNoAccessAsync(HolderProcess holder, LeaseEnd end)
    {
        var ways = await holder.ProbeAsync(_scene.Client.Bytes);
        Assert.NotEmpty(ways);
        Assert.All(ways, way => Assert.True(way.Value != "ACCESS", $"{holder.Name} still has access by {way.Key} after {end}"));
        return ways;
    }

    private async Task AssertToldAsync(LeaseEnd end, EndReason reason)
    {
        if (end != LeaseEnd.ClientKilled)
        {
            await Wait.Until(
                () => _scene.Client.Process.Notices.Any(lease => lease.State == LeaseState.Ended && lease.EndReason == reason && lease.Id == _scene.Client.Lease.Id),
                $"the client is told on its fd channel that the lease ended by {reason}",
                Patience.Long);
        }
    }

    private static async Task<long> PassesAsync(LeaseHolder other)
    {
        var (passes, failures) = await other.Process.StatsAsync();
        Assert.Equal(0, failures);
        return passes;
    }

    /// <summary>It went on working after the end, has seen every byte that it wrote, and its lease lives.</summary>
    private static async Task AssertUndisturbedAsync(LeaseHolder other, long passesBefore)
    {
        int renewed = other.Renewed;
        long passes = await PassesAsync(other);
        Assert.True(passes > passesBefore);
        await Wait.Until(async () => await PassesAsync(other) > passes && other.Renewed > renewed, $"{other.Process.Name} goes on working and is kept alive", Patience.Long);
        Assert.Equal(LeaseState.Active, (await other.GetAsync()).State);
        Assert.DoesNotContain(other.Process.Notices, lease => lease.State != LeaseState.Active);
    }

    /// <summary>The next client gets the same ranges, and the former holders still get nothing.</summary>
    private async Task AssertRangesAreFreeAsync(LeaseEnd end)
    {
        if (end == LeaseEnd.BrokerTerminated)
        {
            return;
        }

        var process = await _scene.StartProcessAsync("next");
        if (end is LeaseEnd.DeviceDrained or LeaseEnd.DeviceVanished)
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => LeaseHolder.AcquireAsync(_scene.Broker, process, Scene.Wanted()));
            Assert.Equal(StatusCode.Unavailable, refusal.StatusCode);
            return;
        }

        await using var next = await LeaseHolder.HoldAsync(_scene.Broker, process, Scene.Wanted());
        Assert.True(next.Lease.Epoch > _scene.Client.Lease.Epoch);
        await process.AskAsync("fill 17");
        foreach (var holder in new[] { _scene.Child, _scene.Third, _scene.PathOnly, _scene.Late })
        {
            await AssertNoAccessAsync(holder, end);
        }

        Assert.Equal("0", await process.AskAsync(string.Create(CultureInfo.InvariantCulture, $"expect {17}")));
    }
}
