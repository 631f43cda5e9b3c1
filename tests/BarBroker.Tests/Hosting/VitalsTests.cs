// SPDX-License-Identifier: Apache-2.0

using BarBroker.Hosting;
using BarBroker.Leases;
using BarBroker.Testing;
using BarBroker.Tests.Leases;

namespace BarBroker.Tests.Hosting;

public sealed class VitalsTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    /// <summary>Of the sweep. Where it stands still, the sweep does.</summary>
    private readonly VirtualTime _time = new();
    private readonly VirtualTime _timeOfVitals = new();
    private readonly Dictionary<string, Executor> _executors = [];
    private readonly LogCapture _logs = new();
    private readonly List<VitalSigns> _taken = [];
    private readonly LeaseManager _manager;
    private readonly Vitals _vitals;

    public VitalsTests()
    {
        _manager = new LeaseManager(new LeaseOptions(), [new(new FakeDevice("dev0")), new(new FakeDevice("dev1"))], 1, _time, (name, _) => _executors[name] = new Executor());
        _manager.Start();
        _vitals = new Vitals(_manager, _timeOfVitals, Interval, _logs.CreateLogger<Vitals>());
        _vitals.Taken += _taken.Add;
        _vitals.Start();
    }

    public void Dispose()
    {
        _vitals.Dispose();
        _manager.Metrics.Dispose();
        _logs.Dispose();
    }

    [Fact]
    public void Taken_NothingIsDueAndThreadsAnswer_AreGood()
    {
        Pass();
        Pass();

        Assert.Equal(2, _taken.Count);
        Assert.All(_taken, signs => Assert.True(signs.AreGood, signs.Complaint));
        Assert.True(_vitals.Signs.IsAnswering("dev0"));
        Assert.Empty(_logs.Entries);
    }

    [Fact]
    public void Taken_ThreadIsInACall_AreGoodButTheDeviceIsAway()
    {
        _executors["dev1"].Pulse = WorkerPulse.InCall;
        Pass();

        Assert.True(_taken[^1].AreGood);
        Assert.Equal((true, false), (_vitals.Signs.IsAnswering("dev0"), _vitals.Signs.IsAnswering("dev1")));
        Assert.True(_logs.Contains(415));

        _executors["dev1"].Pulse = WorkerPulse.Answered;
        Pass();

        Assert.True(_vitals.Signs.IsAnswering("dev1"));
        Assert.True(_logs.Contains(416));
    }

    [Fact]
    public void Taken_ThreadIsSilent_AreBadUntilItAnswers()
    {
        _executors["dev1"].Pulse = WorkerPulse.Silent;
        Pass();

        Assert.Equal((false, "the thread of dev1 does not answer"), (_taken[^1].AreGood, _taken[^1].Complaint));
        Assert.True(_logs.Contains(413));

        _executors["dev1"].Pulse = WorkerPulse.Answered;
        Pass();

        Assert.True(_taken[^1].AreGood);
        Assert.True(_logs.Contains(414));
    }

    [Fact]
    public void Taken_SweepStandsStill_AreBadUntilItRuns()
    {
        _timeOfVitals.Advance(Interval);

        Assert.Equal((false, false), (_taken[^1].AreGood, _taken[^1].IsSweeping));
        Assert.StartsWith("the sweep", _taken[^1].Complaint, StringComparison.Ordinal);

        Pass();

        Assert.True(_taken[^1].AreGood);
    }

    [Fact]
    public void Signs_NobodyTakesThem_AreBad()
    {
        Pass();
        Assert.True(_vitals.Signs.AreGood);

        _timeOfVitals.Suspend(10 * Interval);

        Assert.False(_vitals.Signs.IsSweeping);
    }

    [Fact]
    public async Task Pulse_RealThread_TellsACallFromAnAnswer()
    {
        using var gate = new ManualResetEventSlim();
        IDeviceExecutor thread = new DeviceThread("dev", command =>
        {
            if (command.Kind != DeviceCommandKind.Stop)
            {
                gate.Wait();
            }
        });
        thread.Ask();
        await Wait.Until(() => thread.Pulse == WorkerPulse.Answered, "the idle thread's answer");

        thread.Post(new DeviceCommand(DeviceCommandKind.Recycle));
        thread.Post(new DeviceCommand(DeviceCommandKind.Recycle));
        await Wait.Until(() =>
        {
            thread.Ask();
            return thread.Pulse == WorkerPulse.InCall;
        }, "the thread to be in the call");
        gate.Set();
        await Wait.Until(() => thread.Pulse == WorkerPulse.Answered, "the answer after the call");
        thread.Post(new DeviceCommand(DeviceCommandKind.Stop));
    }

    private void Pass()
    {
        _time.Advance(TimeSpan.FromMilliseconds(10));
        _timeOfVitals.Advance(Interval);
    }

    /// <summary>Runs nothing.</summary>
    private sealed class Executor : IDeviceExecutor
    {
        public WorkerPulse Pulse { get; set; } = WorkerPulse.Answered;

        public void Post(DeviceCommand command)
        {
        }
    }
}
