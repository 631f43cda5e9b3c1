// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Devices.Simulated;

/// <content>What is kept of it over a restart: the memory of its BARs. Its buffers are kept by whoever has them.</content>
internal sealed partial class SimulatedDevice
{
    private const MemfdSeals BufferSeals = MemfdSeals.Grow | MemfdSeals.Seal;

    public ImmutableArray<KeptFile> KeptFiles => _state == Closed ? [] : [.. _bars.Select(static bar => new KeptFile(Role(bar.Description), bar.Memory))];

    public bool Shares(string role) => false;

    public void Restore(ImmutableArray<PassedDescriptor> files, ImmutableArray<PassedDescriptor> shared)
    {
        var bars = new List<SimulatedBar>();
        try
        {
            Check(_state == Closed && _bars.IsEmpty, "is open already");
            _faults.Pass(SimulatedOperation.Open);
            foreach (var bar in _options.Bars)
            {
                var memory = files.FirstOrDefault(file => file.Name == Role(bar)).File ?? throw new IOException($"the memory of BAR {bar.Index} was not kept");
                bars.Add(SimulatedBar.Restore(Name, bar, memory));
            }

            _bars = [.. bars];
            BeOpen();
        }
        catch
        {
            bars.ForEach(static bar => bar.Dispose());
            throw;
        }
        finally
        {
            // What a BAR has taken over is its own.
            foreach (var file in files)
            {
                file.File.Dispose();
            }
        }
    }

    public ExportedBuffer Adopt(FileDescriptor handle, int bar, ImmutableArray<BarRange> ranges, BufferAccess access)
    {
        Check(_state != Closed, "is not open");
        var place = _bars.FirstOrDefault(known => bar < 0 ? Memfd.NameOf(handle) == known.BufferName : known.Description.Index == bar)
            ?? throw new IOException($"it is {handle.ReadLink()}, no buffer of {Name}");
        var memory = Memfd.Adopt(handle, place.BufferName);
        var seals = memory.GetSeals();
        if ((seals & BufferSeals) != BufferSeals || (bar >= 0 && access == BufferAccess.ReadOnly && (seals & MemfdSeals.FutureWrite) == 0))
        {
            memory.Dispose();
            throw new IOException($"it has the seals {seals}, and no buffer of {Name} has those");
        }

        var buffer = new ExportedBuffer(memory, place.Description.Index, ranges, access);
        _exported.Add(buffer, memory.Retain());
        return buffer;
    }

    private static string Role(BarDescription bar) => $"bar{bar.Index}";
}
