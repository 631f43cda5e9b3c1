// SPDX-License-Identifier: Apache-2.0

using System.Runtime.InteropServices;

namespace BarBroker.Cli.Running;

/// <summary>Passes signals that come to barctl on to its command. Those that come before the command is there wait for it.</summary>
internal sealed class SignalForwarder : IDisposable
{
    private const int SigUsr1 = 10;
    private const int SigUsr2 = 12;

    private readonly Lock _gate = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly List<int> _waiting = [];
    private ChildProcess? _child;

    public SignalForwarder()
    {
        Register(PosixSignal.SIGTERM, 15, fromTerminal: false);
        Register(PosixSignal.SIGHUP, 1, fromTerminal: false);
        Register(PosixSignal.SIGINT, 2, fromTerminal: true);
        Register(PosixSignal.SIGQUIT, 3, fromTerminal: true);
        Register((PosixSignal)SigUsr1, SigUsr1, fromTerminal: false);
        Register((PosixSignal)SigUsr2, SigUsr2, fromTerminal: false);
    }

    /// <summary>From now on, and what waited.</summary>
    public void ForwardTo(ChildProcess child)
    {
        lock (_gate)
        {
            _child = child;
            foreach (int signal in _waiting)
            {
                child.Signal(signal);
            }
        }
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private void Register(PosixSignal signal, int number, bool fromTerminal) => _registrations.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        // Ctrl-C and Ctrl-\ went to the whole foreground group: the command has it already, and a second one means something else to many.
        if (fromTerminal && Foreground.IsThisGroup())
        {
            return;
        }

        lock (_gate)
        {
            if (_child is { } child)
            {
                child.Signal(number);
            }
            else
            {
                _waiting.Add(number);
            }
        }
    }));
}
