// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using BarBroker.Configuration;
using BarBroker.Devices;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.Memory;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Time;
using BarBroker.Processes;
using BarBroker.Restart;
using BarBroker.Telemetry;
using BarBroker.Testing;
using BarBroker.Tests.Leases;

namespace BarBroker.Tests.Restart;

/// <summary>One run after the other: what the first has left with the service manager and in its journal, and what the next makes of it while a device does not answer.</summary>
[Collection(typeof(Alone))]
public sealed class InheritanceTests : TestBase
{
    private const int NotBelieved = 607;
    private const string SharedName = "G/12/group";

    private TestDirectory _directory = null!;
    private KeepingManager _manager = null!;
    private LeaseOwner _owner = null!;
    private KeptFile? _shared;
    private string _trace = "";
    private RestartMode _mode = RestartMode.Preserve;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        _directory = Own(new TestDirectory());
        Directory.CreateDirectory(_directory.File("state"));
        Directory.CreateDirectory(_directory.File("run"));
        _manager = Own(new KeepingManager());
        using var self = PidFd.Open(Environment.ProcessId);
        _owner = LeaseFixture.Owner() with { Pid = Environment.ProcessId, Process = self.GetIdentity() };
    }

    [Fact]
    public async Task Complete_DeviceDoesNotAnswer_NothingEndsBeforeItDoes()
    {
        string[] ids = await LeaveLeasesAsync();
        await using var run = await StartAsync();
        run.Pump("dev0");

        var taking = run.CompleteAsync();

        Assert.False(taking.IsCompleted);
        Assert.Equal(LeaseState.Active, run.Get(ids[0]).State);
        Assert.Equal(LeaseError.Unavailable, Assert.Throws<LeaseException>(() => run.Get(ids[1])).Error);
        Assert.Equal(ids, await run.UnendedAsync());

        run.Pump("dev1");
        await Wait.For(taking, "all is taken up");

        Assert.Equal(LeaseState.Active, run.Get(ids[1]).State);
        Assert.Equal((1, 1, 0, 0), (run.Device(0).Restores, run.Device(1).Restores, run.Device(0).Opens, run.Device(1).Opens));
        Assert.Equal(ids, await run.UnendedAsync());
        Assert.Equal(0, run.Journal.EndedEarlier);
    }

    [Fact]
    public async Task Complete_StoppedWhileADeviceDoesNotAnswer_TheNextRunHasAll()
    {
        string[] ids = await LeaveLeasesAsync();
        await using (var run = await StartAsync())
        {
            run.Pump("dev0");
            var taking = run.CompleteAsync();

            await run.StopAsync();

            Assert.True(taking.IsCanceled);
        }

        await using var next = await StartAsync();
        next.Pump("dev0", "dev1");
        await Wait.For(next.CompleteAsync(), "all is taken up");

        Assert.All(ids, id => Assert.Equal(LeaseState.Active, next.Get(id).State));
        Assert.Equal(ids, await next.UnendedAsync());
    }

    [Fact]
    public async Task Complete_KilledWhileADeviceDoesNotAnswer_TheNextRunHasAll()
    {
        string[] ids = await LeaveLeasesAsync();
        await using (var run = await StartAsync())
        {
            run.Pump("dev0");
            _ = run.CompleteAsync();
            await run.UnendedAsync();
        }

        await using var next = await StartAsync();
        next.Pump("dev0", "dev1");
        await Wait.For(next.CompleteAsync(), "all is taken up");

        Assert.All(ids, id => Assert.Equal(LeaseState.Active, next.Get(id).State));
    }

    [Fact]
    public async Task Complete_DeviceIsLetGoAndCannotBeOpened_ItsRecordsEndOnlyWhenItCan()
    {
        string[] ids = await LeaveLeasesAsync();
        await using var run = await StartAsync();
        run.Device(1).FailRestore = true;
        run.Device(1).FailOpen = true;
        run.Pump("dev0", "dev1");

        var taking = run.CompleteAsync();

        Assert.False(taking.IsCompleted);
        Assert.Equal(ids, await run.UnendedAsync());
        Assert.Equal(0, run.Journal.EndedEarlier);

        run.Device(1).FailOpen = false;
        run.Pass(TimeSpan.FromSeconds(5));
        run.Pump("dev0", "dev1");
        await Wait.For(taking, "the device is opened");

        await Wait.Until(async () => (await run.UnendedAsync()).SequenceEqual([ids[0]]), "the lease that was lost ends in the journal");
        Assert.Equal(1, run.Journal.EndedEarlier);
        Assert.Equal(LeaseState.Active, run.Get(ids[0]).State);
    }

    [Fact]
    public async Task Complete_LetGoOverTwoRuns_ItsRecordsStayUntilTheProof()
    {
        string[] ids = await LeaveLeasesAsync();
        await using (var run = await StartAsync())
        {
            run.Device(1).FailRestore = true;
            run.Device(1).FailOpen = true;
            run.Pump("dev0", "dev1");
            _ = run.CompleteAsync();
            await run.StopAsync();
        }

        await using var next = await StartAsync();
        next.Device(1).FailOpen = true;
        next.Pump("dev0", "dev1");
        var taking = next.CompleteAsync();

        Assert.Equal(ids, await next.UnendedAsync());
        Assert.Contains(Logs.Entries, static entry => entry.Event.Id == NotBelieved && entry.Message.Contains("dev1", StringComparison.Ordinal));
        next.Device(1).FailOpen = false;
        next.Pass(TimeSpan.FromSeconds(5));
        next.Pump("dev0", "dev1");
        await Wait.For(taking, "the device is opened");
        await Wait.Until(async () => (await next.UnendedAsync()).SequenceEqual([ids[0]]), "the lease that was lost ends in the journal");
    }

    [Fact]
    public async Task Complete_NothingIsKept_RecordsEndWhenTheirDeviceIsOpen()
    {
        _mode = RestartMode.Revoke;
        string[] ids;
        await using (var killed = await StartAsync())
        {
            killed.Pump("dev0", "dev1");
            await Wait.For(killed.CompleteAsync(), "there is nothing to end");
            ids = [killed.Acquire("dev0", _owner, ""), killed.Acquire("dev1", _owner, "")];
            Assert.Equal(ids, await killed.UnendedAsync());
        }

        // The one before is not wholly gone: the kernel still has a thread of it in the device.
        await using var run = await StartAsync();
        run.Device(1).FailOpen = true;
        run.Pump("dev0", "dev1");
        var ending = run.CompleteAsync();

        await Wait.Until(async () => (await run.UnendedAsync()).SequenceEqual([ids[1]]), "what is proven ends in the journal");
        Assert.False(ending.IsCompleted);
        run.Device(1).FailOpen = false;
        run.Pass(TimeSpan.FromSeconds(5));
        run.Pump("dev1");
        await Wait.For(ending, "the device is opened");
        await Wait.Until(async () => (await run.UnendedAsync()).Length == 0, "the other ends, too");
    }

    [Theory]
    [InlineData("00-55f7651916cd43dd8448eb211c80319c-55ad6b7169203331-01")]
    [InlineData("")]
    public async Task Trace_RevokeAfterARestart_IsInThatOfTheAcquire(string traceparent)
    {
        var revokes = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == LeaseTraces.SourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = revokes.Add,
        };
        ActivitySource.AddActivityListener(listener);
        _trace = traceparent;
        string[] ids = await LeaveLeasesAsync();
        await using var run = await StartAsync();
        run.Pump("dev0", "dev1");
        await Wait.For(run.CompleteAsync(), "all is taken up");

        run.End(ids[0]);

        var revoke = Assert.Single(revokes);
        Assert.Equal(("lease revoke", ids[0]), (revoke.OperationName, revoke.GetTagItem(LeaseTraces.Lease) as string));
        if (traceparent.Length > 0)
        {
            Assert.Equal(traceparent, LeaseTraces.TraceparentOf(new ActivityContext(revoke.TraceId, revoke.ParentSpanId, revoke.ActivityTraceFlags)));
        }
        else
        {
            Assert.Equal(default, revoke.ParentSpanId);
        }
    }

    [Fact]
    public async Task Close_OneOfTwoThatShare_WhatTheyShareIsKeptMeanwhileAndTheOtherGoesOn()
    {
        ShareOne();
        string[] ids = await LeaveLeasesAsync();
        await using (var run = await StartAsync())
        {
            run.Pump("dev0", "dev1");
            await Wait.For(run.CompleteAsync(), "all is taken up");
            string[] whileClosing = [];
            run.Device(1).OnCall = call => whileClosing = call == "Close" ? [.. _manager.Stored()] : whileClosing;

            _ = run.ResetAsync("dev1");
            run.Pump("dev1");

            Assert.Contains(SharedName, whileClosing);
            Assert.DoesNotContain(whileClosing, static name => name.EndsWith("/dev1", StringComparison.Ordinal));
            Assert.Single(_manager.Stored(), SharedName);
        }

        await using var next = await StartAsync();
        next.Pump("dev0", "dev1");
        await Wait.For(next.CompleteAsync(), "all is taken up");

        Assert.Equal(LeaseState.Active, next.Get(ids[0]).State);
        Assert.Equal((1, 1), (next.Device(0).Restores, next.Device(1).Restores));
    }

    [Fact]
    public async Task Close_BothThatShare_TheLastOneLetsGo()
    {
        ShareOne();
        await LeaveLeasesAsync();
        await using var run = await StartAsync();
        run.Pump("dev0", "dev1");
        await Wait.For(run.CompleteAsync(), "all is taken up");
        run.Device(0).FailOpen = run.Device(1).FailOpen = true;

        _ = run.ResetAsync("dev0");
        _ = run.ResetAsync("dev1");
        run.Pump("dev0", "dev1");

        Assert.Equal(["board"], _manager.Stored().Where(static name => name[0] != 'C'));
    }

    [Fact]
    public async Task LetGo_OneOfTwoThatShareBeforeTheOtherIsTakenUp_TheOtherIsAlsoTheNextTime()
    {
        ShareOne();
        string[] ids = await LeaveLeasesAsync();
        await using (var run = await StartAsync())
        {
            run.Device(1).FailRestore = true;
            run.Device(1).FailOpen = true;
            run.Pump("dev1");
            Assert.Single(_manager.Stored(), SharedName);
            run.Pump("dev0");
            Assert.Equal(LeaseState.Active, run.Get(ids[0]).State);
            await run.StopAsync();
        }

        await using var next = await StartAsync();
        next.Pump("dev0");

        Assert.Equal(LeaseState.Active, next.Get(ids[0]).State);
    }

    [Fact]
    public async Task Plan_WhatNoDeviceShares_IsLetGo()
    {
        ShareOne();
        await LeaveLeasesAsync();
        _shared = null;

        await using var run = await StartAsync();

        Assert.DoesNotContain(SharedName, _manager.Stored());
    }

    private void ShareOne() => _shared = new KeptFile(KeptName.SharedRole(SharedName), Own(Memfd.Create("group", 1)), IsShared: true);

    /// <summary>A run that has one lease on each device when it ends.</summary>
    private async Task<string[]> LeaveLeasesAsync()
    {
        await using var run = await StartAsync();
        run.Pump("dev0", "dev1");
        await Wait.For(run.CompleteAsync(), "there is nothing to take up");
        string[] ids = [run.Acquire("dev0", _owner, _trace), run.Acquire("dev1", _owner, _trace)];
        Assert.Equal(ids, await run.UnendedAsync());
        await run.StopAsync();
        return ids;
    }

    private async Task<BrokerRun> StartAsync()
    {
        var run = new BrokerRun(_directory, _manager, Logs, _mode);
        run.Device(0).Shared = run.Device(1).Shared = _shared;
        await run.PlanAsync();
        return run;
    }

    /// <summary>What of a broker has to do with restarts. Its devices answer when they are pumped; disposing it without stopping it is a crash.</summary>
    private sealed class BrokerRun : IAsyncDisposable
    {
        private readonly LeaseFixture _leases = new(new LeaseOptions(), [.. ((string[])["dev0", "dev1"]).Select(static name => new DeviceRegistration(new FakeDevice(name) { HasFiles = true }))], NextEpoch(), start: false);
        private readonly Inheritance _inheritance;
        private readonly RestartMetrics _metrics = new();
        private readonly ClientRegistry _registry;
        private readonly IDisposable _told;
        private readonly LeaseTraces _traces;
        private readonly CancellationTokenSource _stop = new();
        private Task _taking = Task.CompletedTask;

        private static ulong _epochs;

        public BrokerRun(TestDirectory directory, KeepingManager manager, LogCapture logs, RestartMode mode)
        {
            var options = new BrokerOptions { StateDirectory = directory.File("state"), RuntimeDirectory = directory.File("run"), Restart = mode };
            using var start = manager.Start(capacity: 64);
            _inheritance = Inheritance.Begin(options, start, _metrics, new BootTimeProvider(), logs.CreateLogger<Inheritance>());
            if (_inheritance.Keeper is { } keeper)
            {
                _leases.Manager.UseKeeper(keeper, _inheritance.Board!);
            }

            _registry = new ClientRegistry(_leases.Manager.OwnerExited, logs.CreateLogger<ClientRegistry>(), _inheritance.Keeper);
            Journal = new LeaseJournal(options, new BootTimeProvider(), () => _leases.Manager.List(LeaseFilter.All), logs.CreateLogger<LeaseJournal>()) { Incomplete = _inheritance.Board is { } board ? board.SetIncomplete : null };
            _told = _leases.Manager.Subscribe(Journal);
            _traces = new LeaseTraces(static _ => true);
            _leases.Manager.Subscribe(_traces);
        }

        public LeaseJournal Journal { get; }

        public FakeDevice Device(int index) => _leases.Devices[index];

        public LeaseInfo Get(string id) => _leases.Get(id);

        public void Pass(TimeSpan span) => _leases.Pass(span);

        public async Task PlanAsync()
        {
            if (_inheritance.Keeper is not null)
            {
                await _inheritance.PlanAsync(Journal, _leases.Manager, _registry, ["dev0", "dev1"], Cancellation);
            }

            _leases.Manager.Start();
        }

        public Task<int> ResetAsync(string device) => _leases.Manager.ResetDeviceAsync(device, TimeSpan.Zero, "as the test wants", Cancellation);

        public void Pump(params string[] devices)
        {
            foreach (string device in devices)
            {
                _leases.Executor(device).Pump();
            }
        }

        public Task CompleteAsync() => _taking = _inheritance.CompleteAsync(Journal, _leases.Manager, _stop.Token);

        public string Acquire(string device, LeaseOwner owner, string trace) =>
            _leases.Active(LeaseFixture.Sized(LeaseFixture.Page) with { Device = device, Ttl = TimeSpan.FromMinutes(5), Trace = trace }, owner).Id;

        public void End(string id)
        {
            _leases.Manager.End(id, EndReason.Operator, "in the way");
            _leases.Pump();
        }

        /// <summary>What the journal has no end of.</summary>
        public async Task<string[]> UnendedAsync() => [.. (await Wait.For(Journal.AskAsync(static store => store.Unended()), "the journal's answer")).Select(static record => record.Lease.Id)];

        /// <summary>As the broker ends.</summary>
        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _taking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await _leases.Manager.LeaveAsync(Cancellation);
        }

        public async ValueTask DisposeAsync()
        {
            _told.Dispose();
            Journal.Dispose();
            await _stop.CancelAsync();
            await _taking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _registry.Dispose();
            _traces.Dispose();
            _metrics.Dispose();

            // What a process that ends would close.
            _leases.Pump();
            _leases.Dispose();
            foreach (var device in _leases.Devices)
            {
                foreach (var buffer in device.Accessible)
                {
                    buffer.Dispose();
                }

                device.CloseFiles();
            }

            _inheritance.Board?.Dispose();
            _stop.Dispose();
        }

        private static ulong NextEpoch() => Interlocked.Add(ref _epochs, 1000);
    }
}
