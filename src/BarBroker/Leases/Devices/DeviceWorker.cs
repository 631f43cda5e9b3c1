// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;

namespace BarBroker.Leases;

/// <summary>
/// What the thread of a device does: asks the lease book whether a command is still wanted, calls the device, and tells the book what came of it.
/// Whatever a device throws is a failed call: it proves nothing, and must not take the thread with it.
/// </summary>
internal sealed partial class DeviceWorker
{
    private readonly LeaseBook _book;
    private readonly DeviceSlot _slot;
    private readonly IBarDevice _device;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DeviceWorker(LeaseBook book, DeviceSlot slot, IBarDevice device)
    {
        _book = book;
        _slot = slot;
        _device = device;
        _device.Signaled += OnSignaled;
    }

    public Task Stopped => _stopped.Task;

    public void Run(DeviceCommand command)
    {
        switch (command.Kind)
        {
            case DeviceCommandKind.Export:
                Export(command);
                break;
            case DeviceCommandKind.Revoke:
                Revoke(command.Lease!);
                break;
            case DeviceCommandKind.Recycle:
                Recycle();
                break;
            case DeviceCommandKind.Restore:
                Restore();
                break;
            case DeviceCommandKind.Stop:
                Stop();
                break;
        }
    }

    private void OnSignaled(DeviceSignal signal, string reason) => _book.DeviceSignaled(_slot, signal, reason);

    private void Export(DeviceCommand command)
    {
        Lease lease = command.Lease!;
        if (!_book.BeginExport(command, out ScrubPiece? piece))
            return;
        if (piece is { } dirty)
        {
            Scrub(lease, dirty);
            return;
        }

        var exported = ImmutableArray.CreateBuilder<ExportedBuffer>(lease.Buffers.Length);
        ImmutableArray<FileIdentity> files = [];
        string? error = null;
        try
        {
            foreach (LeaseBuffer buffer in lease.Buffers)
                exported.Add(_device.Export(buffer.Bar, buffer.Ranges, lease.Access, lease.Attribute));
            if (Keeper is not null)
                files = [.. exported.Select(static b => b.Handle.GetFileIdentity())];
        }
        catch (Exception e)
        {
            error = e.Message;
        }

        ImmutableArray<ExportedBuffer> buffers = exported.DrainToImmutable();
        _book.EndExport(lease, buffers, error, files, isKept: !files.IsEmpty && Keep(lease, buffers));
    }

    private void Scrub(Lease lease, ScrubPiece piece)
    {
        try
        {
            _device.Fill(piece.Bar, piece.Range, piece.Pattern);
        }
        catch (Exception e)
        {
            _book.ScrubFailed(lease, e.Message);
            return;
        }

        // After the last piece, the export at once; between pieces whatever was asked for meanwhile goes first.
        if (piece.Next.Scrubbed == lease.Bytes)
            Export(piece.Next);
        else
            _slot.Executor.Post(piece.Next);
    }

    private void Revoke(Lease lease)
    {
        ImmutableArray<ExportedBuffer> remaining = LeaseBook.BeginRevoke(lease);
        if (remaining.IsEmpty)
            return;
        try
        {
            while (!remaining.IsEmpty)
            {
                _device.Revoke(remaining[0]);
                remaining[0].Dispose();
                remaining = remaining.RemoveAt(0);
            }
        }
        catch (Exception e)
        {
            _book.RevokeFailed(lease, remaining, e.Message);
            return;
        }

        _book.Proven(lease, _slot.Executor.HasMore);
        Drop(lease);
    }

    private void Recycle()
    {
        ImmutableArray<Lease> leases = _book.BeginClose(_slot);
        try
        {
            CloseDevice();
        }
        catch (Exception e)
        {
            _book.CloseFailed(_slot, leases, e.Message);
            return;
        }

        foreach (Lease lease in leases)
        {
            foreach (ExportedBuffer buffer in lease.Exported)
                buffer.Dispose();
        }

        bool reopen = _book.Closed(_slot, leases);
        foreach (Lease lease in leases)
            Drop(lease);
        if (reopen)
            Open();
    }

    private void Open()
    {
        bool reset = _book.BeginOpen(_slot);
        string step = "open";
        try
        {
            _device.Open();
            step = "reset";
            DeviceDescription description = _device.Description ?? throw new InvalidOperationException($"{_slot.Name} is open and has no description");
            if (reset && description.CanReset)
                _device.Reset();
            step = "keeping it";
            KeepDevice(_slot.Generation + 1);
            _book.Opened(_slot, description, reset);
        }
        catch (Exception e)
        {
            _book.OpenFailed(_slot, $"{step} failed: {e.Message}");
        }
    }

    private void Stop()
    {
        _device.Signaled -= OnSignaled;
        try
        {
            _device.Dispose();
            _stopped.TrySetResult();
        }
        catch (Exception e)
        {
            _stopped.TrySetException(e);
        }
    }
}
