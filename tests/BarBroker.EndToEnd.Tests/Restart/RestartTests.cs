// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text.RegularExpressions;
using BarBroker.EndToEnd.Tests.Support;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace BarBroker.EndToEnd.Tests.Restart;

/// <summary>A daemon that is ended and started again, with real clients that write all the time, and a service manager that keeps its descriptors meanwhile.</summary>
public sealed class RestartTests : TestBase
{
    private const int Fleet = 24;

    private TestDirectory _directory = null!;
    private ServiceManager _manager = null!;

    public static TheoryData<bool> Ends => new(true, false);

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _directory = Own(new TestDirectory());
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task Restart_ClientsThatWriteAllTheTime_LeasesAreAsTheyWere(bool isKilled)
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(Fleet, ttl: 20);
        var before = await ListAsync();

        await RestartAsync(isKilled);

        var after = await ListAsync();
        Assert.Equal(Fleet, after.Count);
        Assert.Equal(before.Select(Fixed), after.Select(Fixed));
        Assert.All(after, lease => Assert.InRange(lease.Remaining.ToTimeSpan(), TimeSpan.Zero, TimeSpan.FromSeconds(20)));
        await WorksOnAsync(fleet);

        // And once more, from what the second run has kept.
        await RestartAsync(!isKilled);
        Assert.Equal(before.Select(Fixed), (await ListAsync()).Select(Fixed));
        await WorksOnAsync(fleet);
        await NothingIsDoubleAsync();
    }

    /// <summary>How long nobody is answered is told, not asserted.</summary>
    [Theory]
    [MemberData(nameof(Ends))]
    public async Task Restart_AThousandLeases_NoneIsLost(bool isKilled)
    {
        await BeginAsync(size: "8MiB");
        var fleet = await StartFleetAsync(1000, ttl: 60);
        var before = await ListAsync();
        await fleet.ReportAsync();

        await RestartAsync(isKilled);
        await WorksOnAsync(fleet);

        Assert.Equal(before.Select(static lease => (lease.Id, lease.Epoch)), (await ListAsync()).Select(static lease => (lease.Id, lease.Epoch)));
        await NothingIsDoubleAsync();
        TestContext.Current.TestOutputHelper?.WriteLine($"{(isKilled ? "killed" : "restarted")}: {fleet.Silence} ms without an answer");
    }

    [Fact]
    public async Task Restart_TicketsAreOut_RetriesGetTheSameLease()
    {
        await BeginAsync();
        using var client = RpcClient.Dial(Path.Combine(_manager.RuntimeDirectory, "broker.sock"));
        var request = new AcquireRequest { Device = "sim0", Buffers = { new BufferRequest { Size = 4096 } }, RequestId = "once" };
        var granted = await client.Leases.AcquireAsync(request);

        await RestartAsync(isKilled: true);

        var refused = await FdClient.RedeemAsync(Path.Combine(_manager.RuntimeDirectory, "fd.sock"), granted.Ticket);
        Assert.Equal((uint)StatusCode.NotFound, refused.Error?.Code);
        using var again = RpcClient.Dial(Path.Combine(_manager.RuntimeDirectory, "broker.sock"));
        var same = await again.Leases.AcquireAsync(request);
        Assert.Equal((granted.Lease.Id, granted.Lease.Epoch), (same.Lease.Id, same.Lease.Epoch));
        Assert.NotNull((await FdClient.RedeemAsync(Path.Combine(_manager.RuntimeDirectory, "fd.sock"), same.Ticket)).Delivery);
    }

    [Fact]
    public async Task Restart_ClientEndsMeanwhile_ItsLeasesEndForThatReason()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);
        var gone = await StartFleetAsync(2, ttl: 60);
        string[] ids = [.. gone.Ids];

        await _manager.KillAsync();
        gone.Dispose();
        await _manager.StartAsync();

        foreach (string id in ids)
        {
            await EndsAsync(id, EndReason.ClientExited);
        }

        await WorksOnAsync(fleet);
    }

    [Fact]
    public async Task Restart_TtlPassesMeanwhile_TheLeaseHasExpired()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);
        var silent = await StartFleetAsync(1, ttl: 1);

        await _manager.KillAsync();
        await Wait.Until(() => silent.Output.Contains("lost", StringComparison.Ordinal), "the client takes its lease for lost", Patience.Long);
        await _manager.StartAsync();

        await EndsAsync(silent.Ids[0], EndReason.Expired);
        await WorksOnAsync(fleet);
    }

    /// <summary>Takes a minute: so long the daemon waits, twice, before it serves the others.</summary>
    [Fact]
    public async Task Restart_DeviceDoesNotAnswer_ItsLeasesAreAsTheyWereOnceItDoes()
    {
        string faults = _directory.File("faults");
        var (fleet, other, before) = await BeginWithTwoFleetsAsync(faults);

        await _manager.KillAsync();
        await File.WriteAllTextAsync(faults, "open stuck\n", Cancellation);
        await _manager.StartAsync();

        await WorksOnAsync(fleet);
        Assert.Equal(before.Where(static lease => lease.Device == "sim0").Select(Fixed), (await ListAsync()).Select(Fixed));

        // Stopped while the device still does not, so that what is left is the next run's.
        await _manager.StopAsync();
        Assert.Equal((5, 0), (Select("SELECT count(*) FROM leases"), Select("SELECT count(*) FROM leases WHERE ended IS NOT NULL")));
        await _manager.StartAsync();
        File.Delete(faults);
        await Wait.Until(async () => (await ListAsync()).Count == 5, "the device is taken up", Patience.Long);

        Assert.Equal(before.Select(Fixed), (await ListAsync()).Select(Fixed));
        await WorksOnAsync(fleet);
        await WorksOnAsync(other);
        await NothingIsDoubleAsync();
    }

    [Fact]
    public async Task Stop_WhileTheStartWaitsForADevice_EndsAtOnceAndTheNextStartHasAll()
    {
        string faults = _directory.File("faults");
        var (fleet, other, before) = await BeginWithTwoFleetsAsync(faults);
        string[] stored = [.. _manager.Stored.Order()];

        await _manager.KillAsync();
        await File.WriteAllTextAsync(faults, "open stuck\n", Cancellation);
        _manager.Begin();
        await Wait.Until(() => Regex.Count(_manager.Log, "Device sim1 is simulated") == 2, "it has begun to start again", Patience.Long);
        Assert.False(_manager.IsReady);

        await _manager.StopAsync();

        Assert.False(_manager.IsReady);
        Assert.Contains("SIGTERM, while it was starting", _manager.Log, StringComparison.Ordinal);
        Assert.Equal(stored, _manager.Stored.Order());
        Assert.Equal((5, 0), (Select("SELECT count(*) FROM leases"), Select("SELECT count(*) FROM leases WHERE ended IS NOT NULL")));
        File.Delete(faults);
        await _manager.StartAsync();
        Assert.Equal(before.Select(Fixed), (await ListAsync()).Select(Fixed));
        await WorksOnAsync(fleet);
        await WorksOnAsync(other);
        await NothingIsDoubleAsync();
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task Restart_DeviceIsNotConfiguredAnyMore_ItsBuffersAreEmptyAndItsRecordsEnd(bool isKilled)
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 600, device: "sim1");
        var other = await StartFleetAsync(2, ttl: 600);
        ulong last = (await ListAsync()).Max(static lease => lease.Epoch);

        await (isKilled ? _manager.KillAsync() : _manager.StopAsync());
        var buffers = new List<FileDescriptor>();
        foreach (string id in fleet.Ids)
        {
            _manager.Tamper(NameOf(id), file => buffers.Add(Own(file.Duplicate())));
        }

        Assert.All(buffers, static buffer => Assert.Equal(4096u, buffer.GetSize()));
        Configure(new BrokerConfiguration().Device("sim0", "1MiB"));
        await _manager.StartAsync();

        Assert.All(buffers, static buffer => Assert.Equal(0u, buffer.GetSize()));
        await AllLostAsync(fleet);
        await WorksOnAsync(other);
        await Wait.Until(() => Select("SELECT count(*) FROM leases WHERE device = 'sim1' AND end_reason = 11") == 2, "their records end", Patience.Long);
        Assert.Equal(0, Select("SELECT count(*) FROM leases WHERE device = 'sim0' AND ended IS NOT NULL"));
        Assert.Contains("Device sim1 is not configured any more", _manager.Log, StringComparison.Ordinal);
        Assert.DoesNotContain(_manager.Stored, static name => name.EndsWith("/sim1", StringComparison.Ordinal));
        Assert.Equal(2, _manager.Stored.Count(static name => name[0] == 'L'));
        await StartFleetAsync(1, ttl: 600);
        Assert.True((await ListAsync()).Max(static lease => lease.Epoch) > last);
    }

    [Fact]
    public async Task Restart_DeviceIsNotConfiguredAnyMoreAndABufferWasNotKept_ItsRecordStaysOpenUntilTheDeviceIsBack()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 600, device: "sim1");

        await _manager.KillAsync();
        _manager.Lose(NameOf(fleet.Ids[0]));
        Configure(new BrokerConfiguration().Device("sim0", "1MiB"));
        for (int starts = 0; starts < 2; starts++)
        {
            await _manager.StartAsync();
            using (var rpc = RpcClient.Dial(_manager.OperatorSocket))
            {
                GetStatusResponse? status = null;
                await Wait.Until(async () => (status = await rpc.Operator.GetStatusAsync(new GetStatusRequest())).Journal.Unproven == 1, "it is said that one lease is not proven to be over", Patience.Long);
                Assert.Contains(status!.Warnings, static warning => warning.StartsWith("1 lease of before the restart", StringComparison.Ordinal));
            }

            await Wait.Until(() => Select("SELECT count(*) FROM leases WHERE ended IS NOT NULL") == 1, "what is proven ends", Patience.Long);
            Assert.Equal(1, Select($"SELECT count(*) FROM leases WHERE id = '{fleet.Ids[0]}' AND ended IS NULL"));
            await _manager.StopAsync();
        }

        Configure(new BrokerConfiguration().Device("sim0", "1MiB").Device("sim1", "256KiB"));
        await _manager.StartAsync();

        await Wait.Until(() => Select("SELECT count(*) FROM leases WHERE ended IS NULL") == 0, "the device was opened, which is the proof", Patience.Long);
    }

    [Fact]
    public async Task Restart_BufferWasNotKept_ItsDeviceIsClosedWholly()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(3, ttl: 60);
        var other = await StartFleetAsync(2, ttl: 60, device: "sim1");

        await _manager.KillAsync();
        _manager.Lose(NameOf(fleet.Ids[1]));
        await _manager.StartAsync();

        await AllLostAsync(fleet);
        Assert.Contains($"buffer 0 of lease {fleet.Ids[1]} was not kept", _manager.Log, StringComparison.Ordinal);
        await WorksOnAsync(other);
        string scrape = "";
        await Wait.Until(async () => Regex.IsMatch(scrape = await ScrapeAsync(), Sample("barbroker_restart_leases", "ended", "3")), "three are counted as ended", Patience.Long);
        Assert.Matches(Sample("barbroker_restart_leases", "restored", "2"), scrape);
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_AnotherFileInThePlaceOfABuffer_ItsDeviceIsClosedWholly()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);

        await _manager.KillAsync();
        _manager.Lose(NameOf(fleet.Ids[0]));
        _manager.Add(NameOf(fleet.Ids[0]), Memfd.Create("barbroker:sim0:0", 4096));
        await _manager.StartAsync();

        await AllLostAsync(fleet);
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_ForeignFilesInTheStore_AreClosedAndExplained()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);

        await _manager.KillAsync();
        _manager.Add("stranger", Memfd.Create("stranger", 4096));
        _manager.Add("D1/bar0/unknown", Memfd.Create("stranger", 4096));
        await _manager.StartAsync();

        await Wait.Until(() => !_manager.Stored.Any(static name => name.Contains("stranger", StringComparison.Ordinal) || name.Contains("unknown", StringComparison.Ordinal)), "they are kept no more", Patience.Long);
        await Wait.Until(() => _manager.Log.Contains("stranger", StringComparison.Ordinal), "it is said that one of them was not expected", Patience.Long);
        await WorksOnAsync(fleet);
    }

    [Fact]
    public async Task Restart_BoardWasNotKept_NothingIsBelieved()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);

        await _manager.KillAsync();
        _manager.Lose("board");
        await _manager.StartAsync();

        await AllLostAsync(fleet);
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_RecordIsNotTheLastOne_ItsDeviceIsClosedWholly()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(1, ttl: 60);
        var other = await StartFleetAsync(2, ttl: 60, device: "sim1");

        await _manager.KillAsync();
        // As if the end of the journal had been cut off: the board knows of a record that is later than what is found. Header, then the word of the first place.
        _manager.Tamper("board", static board =>
        {
            using var words = OpenWords(board);
            byte[] noted = new byte[8];
            words.Position = (64 + 6) * 8;
            words.ReadExactly(noted);
            long at = BitConverter.ToInt64(noted);
            Assert.NotEqual(0, at);
            words.Position = (64 + 6) * 8;
            words.Write(BitConverter.GetBytes(at + 1));
        });
        await _manager.StartAsync();

        await AllLostAsync(fleet);
        Assert.Contains($"the last record of lease {fleet.Ids[0]} is missing in the journal", _manager.Log, StringComparison.Ordinal);
        await WorksOnAsync(other);
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_AnotherBootOfTheMachine_NothingIsBelieved()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);

        await _manager.StopAsync();
        // As if the machine had been restarted, by all that the daemon has to tell it by.
        Execute("UPDATE runs SET boot_id = '11111111-2222-3333-4444-555555555555'");
        _manager.Tamper("board", static board =>
        {
            using var words = OpenWords(board);
            words.Position = 8;
            words.Write(new byte[16]);
        });
        await _manager.StartAsync();

        await AllLostAsync(fleet);
        Assert.Contains("another boot of the machine", _manager.Log, StringComparison.Ordinal);
        Assert.Equal(2, Select("SELECT count(*) FROM leases WHERE end_reason = 11"));
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_JournalWasDeleted_ItsLeasesAreClosedAndItServesAgain()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(3, ttl: 60);

        await _manager.StopAsync();
        foreach (string file in Directory.GetFiles(Path.GetDirectoryName(_manager.Database)!, "journal.db*"))
        {
            File.Delete(file);
        }

        await _manager.StartAsync();

        await AllLostAsync(fleet);
        Assert.Contains("the journal has no record of it", _manager.Log, StringComparison.Ordinal);
        await ServesAsync();
    }

    [Fact]
    public async Task Restart_JournalTruncatedAnywhere_EveryLeaseGoesOnOrIsRevoked()
    {
        await BeginAsync();
        var random = new Random(20261128);
        for (int round = 0; round < 4; round++)
        {
            var fleet = await StartFleetAsync(3, ttl: 60);
            await RestartTruncatedAsync(random, isKilled: round % 2 == 0);

            // Whichever it is, it is the same for the client and for the broker.
            var known = (await ListAsync()).Where(static lease => lease.State == LeaseState.Active).Select(static lease => lease.Id).ToHashSet();
            foreach (string id in fleet.Ids.Where(id => !known.Contains(id)))
            {
                await Wait.Until(() => fleet.Output.Contains($"lost {id}", StringComparison.Ordinal), $"the client knows that {id} is lost", Patience.Long);
            }

            var report = await ReportAsync(fleet);
            Assert.Equal((fleet.Ids.Count(id => !known.Contains(id)), 0), (report.Lost, report.Foreign));
            await ServesAsync();
            fleet.Dispose();
        }
    }

    [Fact]
    public async Task Stop_StoreIsFull_OnlyWhatWasNotKeptEnds()
    {
        await BeginAsync(capacity: 8);
        var fleet = await StartFleetAsync(8, ttl: 60);
        int kept = _manager.Stored.Count(static name => name[0] == 'L');
        Assert.InRange(kept, 1, 7);
        string before = await ScrapeAsync();
        Assert.Matches(Sample("barbroker_store_fds", "", "8"), before);
        Assert.Matches(Sample("barbroker_store_max_fds", "", "8"), before);
        Assert.Matches(Sample("barbroker_store_failures_total", "full", "[1-9][0-9]*"), before);
        Assert.Matches(Sample("barbroker_store_failures_total", "not_taken", "0"), before);

        await RestartAsync(isKilled: false);

        Assert.Matches(Sample("barbroker_restart_leases", "restored", $"{kept}"), await ScrapeAsync());

        Assert.Equal(kept, (await ListAsync()).Count);
        await Wait.Until(async () => (await ReportAsync(fleet)).Lost == 8 - kept, "the others are lost", Patience.Long);
        Assert.Contains("store of descriptors is full", _manager.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Kill_StoreIsFull_AllOfThatDeviceEndAndTheOtherDeviceGoesOn()
    {
        await BeginAsync(capacity: 8);
        var other = await StartFleetAsync(2, ttl: 60, device: "sim1");
        var fleet = await StartFleetAsync(3, ttl: 60);

        // Granted and working as any other; that they were not kept is told.
        Assert.Equal(8, _manager.Stored.Count);
        Assert.InRange(fleet.Ids.Count(id => _manager.Stored.Contains(NameOf(id))), 1, 2);
        Assert.Matches(Sample("barbroker_store_failures_total", "full", "[1-9][0-9]*"), await ScrapeAsync());
        await WorksOnAsync(fleet);

        await RestartAsync(isKilled: true);

        await AllLostAsync(fleet);
        Assert.Matches($"buffer 0 of lease ({string.Join('|', fleet.Ids)}) was not kept", _manager.Log);
        await WorksOnAsync(other);
        await Wait.Until(async () => Regex.IsMatch(await ScrapeAsync(), Sample("barbroker_restart_leases", "ended", "3")), "three have ended", Patience.Long);
        await ServesAsync();
        await NothingIsDoubleAsync();
    }

    [Fact]
    public async Task Restart_Revoke_LeasesEndWithTheBroker()
    {
        await BeginAsync(restart: "revoke");
        var fleet = await StartFleetAsync(2, ttl: 60);
        Assert.Empty(_manager.Stored);

        await RestartAsync(isKilled: false);

        await AllLostAsync(fleet);
        await ServesAsync();
    }

    [Fact]
    public async Task Release_OfALease_NothingOfItIsKept()
    {
        await BeginAsync();
        var fleet = await StartFleetAsync(2, ttl: 60);
        Assert.Equal(2, _manager.Stored.Count(static name => name[0] == 'L'));

        fleet.Dispose();

        await Wait.Until(() => !_manager.Stored.Any(static name => name[0] is 'L' or 'C'), "what was the client's is kept no more", Patience.Long);
        Assert.Contains("board", _manager.Stored);
    }

    private static string NameOf(string id) => $"L{id[3..]}";

    private static FileStream OpenWords(FileDescriptor board) => File.Open(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{board.Number}"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);

    /// <summary>What no restart changes.</summary>
    private static string Fixed(Lease lease)
    {
        var same = new Lease(lease) { Remaining = null, Age = null };
        return same.ToString();
    }

    private async Task BeginAsync(int capacity = 4096, string restart = "preserve", string size = "1MiB", string? faults = null)
    {
        var configuration = new BrokerConfiguration().Device("sim0", size).Device("sim1", "256KiB", faults).Set("leases", "minTtl", "500ms").Set("restart", restart).Set("metrics", "enabled", true).Set("metrics", "address", "127.0.0.1:0");
        _manager = Own(new ServiceManager(_directory.Path, configuration.Write(_directory.Path)) { Capacity = capacity });
        await _manager.StartAsync();
    }

    private void Configure(BrokerConfiguration configuration) => configuration.Set("leases", "minTtl", "500ms").Write(_directory.Path);

    /// <summary>Two leases of sim0, which does as the faults file says, and three of sim1.</summary>
    private async Task<(FleetProcess Fleet, FleetProcess Other, IReadOnlyList<Lease> Before)> BeginWithTwoFleetsAsync(string faults)
    {
        await BeginAsync(faults: faults);
        return (await StartFleetAsync(2, ttl: 600), await StartFleetAsync(3, ttl: 600, device: "sim1"), await ListAsync());
    }

    private async Task<FleetProcess> StartFleetAsync(int count, int ttl, string device = "sim0") => Own(await FleetProcess.StartAsync(_manager.RuntimeDirectory, device, count, ttl));

    private async Task RestartAsync(bool isKilled)
    {
        await (isKilled ? _manager.KillAsync() : _manager.StopAsync());
        await _manager.StartAsync();
    }

    private async Task RestartTruncatedAsync(Random random, bool isKilled)
    {
        await (isKilled ? _manager.KillAsync() : _manager.StopAsync());
        string[] files = [.. Directory.GetFiles(Path.GetDirectoryName(_manager.Database)!, "journal.db*"), .. Directory.GetFiles(_manager.RuntimeDirectory, "journal.ahead-*")];
        string file = files[random.Next(files.Length)];
        using (var stream = File.OpenWrite(file))
        {
            stream.SetLength(random.NextInt64(stream.Length + 1));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"truncated {file}");
        await _manager.StartAsync();
    }

    private async Task<IReadOnlyList<Lease>> ListAsync()
    {
        using var rpc = RpcClient.Dial(_manager.OperatorSocket);
        return (await rpc.Operator.ListLeasesAsync(new OperatorListLeasesRequest(), deadline: DateTime.UtcNow + Patience.Long)).Leases;
    }

    private async Task<string> ScrapeAsync()
    {
        using var rpc = RpcClient.Dial(_manager.OperatorSocket);
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri((await rpc.Operator.GetStatusAsync(new GetStatusRequest(), deadline: DateTime.UtcNow + Patience.Long)).MetricsUrl), Cancellation);
    }

    /// <summary>What a scrape says of a metric, of the one with that tag if there are several.</summary>
    private static string Sample(string metric, string tag, string value) => $@"(?m)^{metric}(?:\{{[^}}]*{tag}[^}}]*\}})? {value}( \d+)?$";

    private async Task EndsAsync(string id, EndReason reason)
    {
        using var rpc = RpcClient.Dial(_manager.OperatorSocket);
        Lease? lease = null;
        await Wait.Until(async () => (lease = (await rpc.Operator.GetLeaseAsync(new OperatorGetLeaseRequest { LeaseId = id })).Lease).State == LeaseState.Ended, $"{id} ends", Patience.Long);
        Assert.Equal(reason, lease!.EndReason);
    }

    private static async Task<(long Rounds, int Lost, int Foreign)> ReportAsync(FleetProcess fleet) => await fleet.ReportAsync();

    /// <summary>It still writes and finds what it wrote, has lost nothing, and renews its leases.</summary>
    private async Task WorksOnAsync(FleetProcess fleet)
    {
        var before = await fleet.ReportAsync();
        await Wait.Until(async () => (await fleet.ReportAsync()).Rounds > before.Rounds + 3, "it works on", Patience.Long);
        var after = await fleet.ReportAsync();
        Assert.True((after.Lost, after.Foreign) == (0, 0), $"lost {after.Lost}, foreign {after.Foreign}:\n{fleet.Output}\n{_manager.Log}");
    }

    private static Task AllLostAsync(FleetProcess fleet) => Wait.Until(
        async () => (await fleet.ReportAsync()).Lost == fleet.Ids.Count, "all its leases are lost", Patience.Long);

    /// <summary>The whole device can be had again.</summary>
    private async Task ServesAsync()
    {
        var fleet = await FleetProcess.StartAsync(_manager.RuntimeDirectory, "sim0", 1, 60);
        await WorksOnAsync(fleet);
        fleet.Dispose();
    }

    private async Task NothingIsDoubleAsync()
    {
        var ranges = (await ListAsync()).SelectMany(lease => lease.Buffers.SelectMany(buffer => buffer.Ranges.Select(range => (lease.Device, buffer.Bar, range.Offset, End: range.Offset + range.Length)))).Order().ToList();
        Assert.All(ranges.Zip(ranges.Skip(1)), static pair => Assert.True(pair.First.Device != pair.Second.Device || pair.First.Bar != pair.Second.Bar || pair.First.End <= pair.Second.Offset));
    }

    private void Execute(string statement)
    {
        using var connection = new SqliteConnection($"Data Source={_manager.Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = statement;
        command.ExecuteNonQuery();
    }

    private long Select(string question)
    {
        // The daemon has the file to itself: a copy is read.
        string copy = _directory.File("copy.db");
        File.Copy(_manager.Database, copy, overwrite: true);
        if (File.Exists($"{_manager.Database}-wal"))
        {
            File.Copy($"{_manager.Database}-wal", $"{copy}-wal", overwrite: true);
        }

        using var connection = new SqliteConnection($"Data Source={copy};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = question;
        return (long)command.ExecuteScalar()!;
    }
}
