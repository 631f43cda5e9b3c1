// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Leases;

/// <content>What is given to somebody who keeps it while no broker runs, and how the next one takes it up.</content>
internal sealed partial class DeviceWorker
{
    /// <summary>While the keeper's own descriptors of a device are being closed, the device is not closed for good: how often, and after what pause, it is looked at again.</summary>
    private const int CloseLooks = 200;
    private static readonly TimeSpan CloseLook = TimeSpan.FromMilliseconds(10);

    /// <summary>By these names, all of it is kept that it takes to take the device up again. Empty: it cannot be.</summary>
    private readonly List<string> _kept = [];

    /// <summary>Null: nothing is kept over a restart. To be set before the start.</summary>
    public IDescriptorKeeper? Keeper { get; set; }

    public string Device => _slot.Name;

    /// <summary>See <see cref="IRestorableDevice.Shares"/>.</summary>
    public bool Shares(string name) => _device is IRestorableDevice device && device.Shares(KeptName.SharedRole(name));

    /// <summary>Before any device is started: those that share something must all be known before one of them lets go of it.</summary>
    public void Inherit(KeptDevice kept)
    {
        foreach (PassedDescriptor shared in kept.Shared)
            Keeper!.Join(shared.Name);
        _kept.AddRange(kept.Files.Select(f => KeptName.OfDevice(_slot.Name, kept.Generation, f.Name)));
        _kept.AddRange(kept.Shared.Select(static f => f.Name));
    }

    /// <summary>Not where the device is not kept: the next run could do nothing with it.</summary>
    private bool Keep(Lease lease, ImmutableArray<ExportedBuffer> buffers) =>
        _kept.Count > 0 && Keeper!.Keep(KeptName.OfLease(lease.Id), [.. buffers.Select(static b => b.Handle)]);

    /// <summary>After the proof: what is not kept any more before it would count as missing.</summary>
    private void Drop(Lease lease)
    {
        if (!lease.Files.IsEmpty)
            Keeper?.Drop(KeptName.OfLease(lease.Id));
    }

    /// <summary>Before anything of it is granted. All of it, or nothing.</summary>
    private void KeepDevice(int generation)
    {
        if (Keeper is null || _device is not IRestorableDevice device)
            return;
        foreach (KeptFile file in device.KeptFiles)
        {
            string name = file.IsShared ? KeptName.OfShared(file.Role) : KeptName.OfDevice(_slot.Name, generation, file.Role);
            if (!Keeper.Keep(name, [file.File]))
            {
                LetGoOfKept();
                return;
            }

            _kept.Add(name);
        }
    }

    /// <summary>Closing is a proof only if nobody else has the device open.</summary>
    private void CloseDevice()
    {
        bool wasKept = DropDevice();
        for (int looks = 0; ; looks++)
        {
            try
            {
                _device.Close();
                break;
            }
            catch (IOException) when (wasKept && looks < CloseLooks)
            {
                Thread.Sleep(CloseLook);
            }
        }
    }

    private bool DropDevice()
    {
        if (_kept.Count == 0)
            return false;
        LetGoOfKept();
        Keeper!.Settle();
        return true;
    }

    private void LetGoOfKept()
    {
        foreach (string name in _kept)
            Keeper!.Drop(name);
        _kept.Clear();
    }

    private void Restore()
    {
        KeptDevice kept = _slot.Kept!;
        if (kept.Problem.Length > 0 || _device is not IRestorableDevice device)
        {
            LetGo(kept, kept.Problem);
            return;
        }

        try
        {
            device.Restore(kept.Files, [.. kept.Shared.Select(static f => f with { Name = KeptName.SharedRole(f.Name) })]);
            foreach (PassedDescriptor shared in kept.Shared)
                shared.File.Dispose();
        }
        catch (Exception e)
        {
            LetGo(kept, e.Message);
            return;
        }

        string problem = "";
        var leases = new List<KeptLease>(kept.Leases.Length);
        foreach (KeptLease lease in kept.Leases)
            leases.Add(lease with { Exported = Adopt(device, lease, ref problem) });
        foreach (PassedDescriptor stray in kept.Strays)
            RevokeStray(device, stray, ref problem);
        _book.Restored(_slot, device.Description!, kept, leases, problem);
    }

    private static ImmutableArray<ExportedBuffer> Adopt(IRestorableDevice device, KeptLease lease, ref string problem)
    {
        var adopted = ImmutableArray.CreateBuilder<ExportedBuffer>(lease.Files.Length);
        for (int i = 0; i < lease.Files.Length; i++)
        {
            try
            {
                adopted.Add(device.Adopt(lease.Files[i], lease.Buffers[i].Bar, lease.Buffers[i].Ranges, lease.Access));
            }
            catch (Exception e)
            {
                lease.Files[i].Dispose();
                problem = problem.Length > 0 ? problem : $"buffer {i} of lease {lease.Id}: {e.Message}";
            }
        }

        return adopted.DrainToImmutable();
    }

    /// <summary>It never left the broker, or its lease has ended: nobody should have it, and from now on nobody has.</summary>
    private void RevokeStray(IRestorableDevice device, PassedDescriptor stray, ref string problem)
    {
        try
        {
            using ExportedBuffer buffer = device.Adopt(stray.File, -1, [], BufferAccess.ReadOnly);
            if (device.Description!.Domain != RevocationDomain.Selective)
                throw new IOException("it can be revoked only with the device");
            device.Revoke(buffer);
            Keeper?.Drop(stray.Name);
        }
        catch (Exception e)
        {
            stray.File.Dispose();
            problem = problem.Length > 0 ? problem : $"a buffer that no lease has ({stray.Name}): {e.Message}";
        }
    }

    /// <summary>Nothing of it is believed. Closing what was kept ends what was exported, and whoever opens the device next knows that all have closed it.</summary>
    private void LetGo(KeptDevice kept, string problem)
    {
        foreach (FileDescriptor buffer in kept.Leases.SelectMany(static l => l.Files).Concat(kept.Strays.Select(static s => s.File)))
            (_device as IRestorableDevice)?.Discard(buffer);
        kept.CloseFiles();
        foreach (string name in kept.Leases.Select(static l => KeptName.OfLease(l.Id)).Concat(kept.Strays.Select(static s => s.Name)))
            Keeper?.Drop(name);
        DropDevice();
        _book.NotRestored(_slot, kept, $"what an earlier run has left of it cannot be believed: {problem}");
    }
}
