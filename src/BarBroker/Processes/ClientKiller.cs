// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Linux;
using BarBroker.Linux.Processes;

namespace BarBroker.Processes;

/// <summary>
/// Kills clients by their pidfds, and only those that are seen to hold the buffer: by a descriptor or a mapping. A process that /proc does not show, or that has
/// neither, is left alone: what it may have given to a driver is not to be seen, and another process may be the one.
/// </summary>
internal sealed class ClientKiller(ClientRegistry registry, ILogger<ClientKiller> log) : IClientKiller
{
    private const int SigKill = 9;

    // A process whose memory map is locked is not looked at for longer.
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(5);

    public void Kill(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers, Func<bool> isStillStuck, Action<EscalationOutcome, string> done) =>
        _ = KillAsync(owner, buffers, isStillStuck, done);

    private async Task KillAsync(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers, Func<bool> isStillStuck, Action<EscalationOutcome, string> done)
    {
        // A thread of its own, because /proc may keep it.
        var look = Task.Factory.StartNew(() => Look(owner, buffers), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        (EscalationOutcome, string) result;
        try
        {
            var (process, how) = await look.WaitAsync(_patience).ConfigureAwait(false);
            result = process is null ? (EscalationOutcome.Refused, how) : Signal(process, owner, how, isStillStuck);
        }
        catch (TimeoutException)
        {
            result = (EscalationOutcome.Refused, $"/proc did not tell within {_patience.TotalSeconds:0} s what process {owner.Pid} holds");
        }
        catch (Exception exception)
        {
            result = (EscalationOutcome.Failed, exception.Message);
        }

        done(result.Item1, result.Item2);
    }

    /// <summary>The process, and how it holds on; or null, and why it is to be left alone.</summary>
    private (PidFd? Process, string How) Look(LeaseOwner owner, ImmutableArray<ExportedBuffer> buffers)
    {
        if (owner.Pid == Environment.ProcessId)
        {
            return (null, "the client is the broker's own process");
        }

        if (registry.Find(owner) is not { } process)
        {
            return (null, $"process {owner.Pid} has ended");
        }

        try
        {
            foreach (var buffer in buffers)
            {
                if (HeldFile.Find(process, buffer.Handle) is { } how)
                {
                    return (process, how);
                }
            }

            return (null, $"process {owner.Pid} has neither a descriptor nor a mapping of the buffer; another process or a driver holds on");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            return (null, $"it cannot be told whether process {owner.Pid} holds on: {exception.Message}");
        }
    }

    private (EscalationOutcome, string) Signal(PidFd process, LeaseOwner owner, string how, Func<bool> isStillStuck)
    {
        if (!isStillStuck())
        {
            return (EscalationOutcome.Refused, "the lease has ended meanwhile");
        }

        try
        {
            process.SendSignal(SigKill);
            ProcessLog.Killed(log, owner.Pid, owner.Uid, owner.Comm, how);
            return (EscalationOutcome.Done, $"SIGKILL to process {owner.Pid} ({owner.Comm}), which holds {how} of the buffer");
        }
        catch (Exception exception) when (exception is ObjectDisposedException or LinuxException { Errno: Errno.ESRCH })
        {
            return (EscalationOutcome.Refused, $"process {owner.Pid} has ended");
        }
        catch (LinuxException exception)
        {
            return (EscalationOutcome.Failed, $"{exception.Message}; it holds {how} of the buffer");
        }
    }
}
