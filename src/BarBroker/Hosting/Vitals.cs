// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Leases;

namespace BarBroker.Hosting;

/// <summary>
/// Asks, again and again, whether the lease sweep and the threads of the devices go on, and tells whoever wants to know: the service manager's watchdog, and health. Its timer
/// needs a thread of the pool, as everything else does here: where that does not come, nothing is told.
/// </summary>
/// <remarks>A thread that is in a call of its device is the kernel's business: to kill the broker for it would end the leases of all other devices, and the thread would stay.</remarks>
internal sealed class Vitals : IDisposable
{
    private readonly LeaseManager _leases;
    private readonly TimeProvider _time;
    private readonly TimeSpan _interval;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    private ITimer? _timer;
    private long _takenAt;
    private VitalSigns _signs = new(IsSweeping: true, [], []);
    private ImmutableArray<string> _inCall = [];
    private string _complaint = "";

    /// <param name="interval">From question to answer, and from answer to question.</param>
    public Vitals(LeaseManager leases, TimeProvider time, TimeSpan interval, ILogger<Vitals> log)
    {
        _leases = leases;
        _time = time;
        _interval = interval;
        _log = log;
    }

    /// <summary>The last answers; good until the first ones are due, and never older than a few times the interval: then nothing runs as it should.</summary>
    public VitalSigns Signs
    {
        get
        {
            var signs = Volatile.Read(ref _signs);
            return _timer is null || _time.GetElapsedTime(Volatile.Read(ref _takenAt)) < 4 * _interval ? signs : signs with { IsSweeping = false };
        }
    }

    /// <summary>Told of all answers, every time, on the timer's thread. It returns soon and never throws.</summary>
    public event Action<VitalSigns>? Taken;

    /// <summary>After the devices have got their threads.</summary>
    public void Start()
    {
        _takenAt = _time.GetTimestamp();
        _leases.AskForSigns();
        _timer = _time.CreateTimer(static vitals => ((Vitals)vitals!).Beat(), this, _interval, _interval);
    }

    /// <summary>Nothing is told any more from now on; one telling may be under way.</summary>
    public void Dispose() => _timer?.Dispose();

    private void Beat()
    {
        // One that waited for a thread may come together with the next.
        if (!_gate.TryEnter())
        {
            return;
        }

        try
        {
            var signs = _leases.Signs();
            Log(signs);
            Volatile.Write(ref _signs, signs);
            Volatile.Write(ref _takenAt, _time.GetTimestamp());
            _leases.AskForSigns();
            Taken?.Invoke(signs);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Log(VitalSigns signs)
    {
        if (signs.Complaint != _complaint)
        {
            _complaint = signs.Complaint;
            if (signs.AreGood)
            {
                HostLog.AliveAgain(_log);
            }
            else
            {
                HostLog.NotAlive(_log, signs.Complaint);
            }
        }

        foreach (string device in signs.InCall.Except(_inCall))
        {
            HostLog.DeviceKept(_log, device, _interval);
        }

        foreach (string device in _inCall.Except(signs.InCall))
        {
            HostLog.DeviceBack(_log, device);
        }

        _inCall = signs.InCall;
    }
}
