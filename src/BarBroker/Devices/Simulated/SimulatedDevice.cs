// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.Memory;

namespace BarBroker.Devices.Simulated;

/// <summary>
/// A device made of memory, for any machine and any user: its buffers are sealed memfds, and revoking truncates them, so that every mapping anywhere raises
/// SIGBUS (memfd_create(2), mmap(2)). Unlike with VFIO, the kernel revokes nothing when the broker is killed; and whoever pinned pages before the
/// revoke (io_uring, vmsplice) keeps those pages, which are no device's any more.
/// </summary>
internal sealed partial class SimulatedDevice : IRestorableDevice
{
    private const int Closed = 0;
    private const int Opened = 1;
    private const int Vanished = 2;

    private readonly SimulatedDeviceOptions _options;
    private readonly SimulatedFaultGate _faults;
    private readonly DeviceDescription _whenOpen;

    // The memory behind each buffer that was not revoked yet, whether the buffer was disposed or not: Close must reach all of them.
    private readonly Dictionary<ExportedBuffer, Memfd> _exported = [];
    private readonly Timer? _signalWatch;
    private ImmutableArray<SimulatedBar> _bars = [];
    private int _state = Closed;

    /// <summary>Said since the device was opened.</summary>
    private bool _wasRequested;

    /// <summary>As last read: it is an event, that happens when the line appears.</summary>
    private bool _hasError;

    public SimulatedDevice(SimulatedDeviceOptions options)
    {
        _options = options;
        _faults = new SimulatedFaultGate(options.Name, options.FaultsFile);
        _whenOpen = Describe(options);
        if (_faults.IsConfigured)
        {
            _signalWatch = new Timer(_ => Signal());
        }
    }

    public event Action<DeviceSignal, string>? Signaled;

    public string Name => _options.Name;

    public DeviceDescription? Description { get; private set; }

    public void Open()
    {
        Check(_state == Closed, "is open already");
        _faults.Pass(SimulatedOperation.Open);
        if (_bars.IsEmpty)
        {
            _bars = MakeBars();
        }

        BeOpen();
    }

    public void Close()
    {
        if (_state == Closed)
        {
            return;
        }

        _faults.Pass(SimulatedOperation.Close);
        _signalWatch?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        foreach (var (buffer, memory) in _exported)
        {
            EndAccess(buffer, memory);
        }

        _state = Closed;
    }

    public ExportedBuffer Export(int bar, ImmutableArray<BarRange> ranges, BufferAccess access, MemoryAttribute attribute)
    {
        Check(_state != Closed, "is not open");
        var place = FindBar(bar, ranges);
        _faults.Pass(SimulatedOperation.Export);
        var memory = place.Export(ranges, access);
        var buffer = new ExportedBuffer(memory, bar, ranges, access);
        _exported.Add(buffer, memory.Retain());
        return buffer;
    }

    public void Fill(int bar, BarRange range, uint word)
    {
        Check(_state != Closed, "is not open");
        var place = FindBar(bar, [range]);
        _faults.Pass(SimulatedOperation.Scrub);
        place.Fill(range, word);
    }

    public void Revoke(ExportedBuffer buffer)
    {
        Check(_options.Domain == RevocationDomain.Selective, "cannot revoke one buffer; close it instead");
        Check(_state != Closed, "is not open");
        _faults.Pass(SimulatedOperation.Revoke);
        if (_exported.TryGetValue(buffer, out var memory))
        {
            EndAccess(buffer, memory);
        }
        else if (buffer.Handle.GetSize() != 0)
        {
            throw new LinuxException("simulated revoke", $"a buffer that is not of device {Name}", Errno.ENODEV);
        }
    }

    /// <summary>Zeroes the BARs. What is exported at that time keeps its content, and brings it back when it is revoked.</summary>
    public void Reset()
    {
        Check(_state != Closed, "is not open");
        _faults.Pass(SimulatedOperation.Reset);
        foreach (var bar in _bars)
        {
            bar.Clear();
        }
    }

    /// <summary>Ends every access, whatever the faults say, and forgets the content.</summary>
    public void Dispose()
    {
        _signalWatch?.Dispose();
        _state = Closed;
        foreach (var memory in _exported.Values)
        {
            memory.SetSize(0);
            memory.Dispose();
        }

        _exported.Clear();
        foreach (var bar in _bars)
        {
            bar.Dispose();
        }
    }

    private void BeOpen()
    {
        Description = _whenOpen;
        _wasRequested = false;
        _state = Opened;
        _signalWatch?.Change(SimulatedFaultGate.PollInterval, SimulatedFaultGate.PollInterval);
    }

    private void EndAccess(ExportedBuffer buffer, Memfd memory)
    {
        try
        {
            if (buffer.Access == BufferAccess.ReadWrite)
            {
                FindBar(buffer.Bar).CopyBack(memory, buffer.Ranges);
            }
        }
        finally
        {
            // Even if the content could not be saved: the failure is thrown and seen, and trying again finds the buffer revoked.
            memory.SetSize(0);
        }

        if (memory.GetSize() != 0)
        {
            throw new LinuxException("ftruncate", $"a buffer of device {Name}, which is not empty after it", Errno.EIO);
        }

        _exported.Remove(buffer);
        memory.Dispose();
    }

    private void Signal()
    {
        SimulatedFaults faults;
        try
        {
            faults = _faults.Read();
        }
        catch (IOException)
        {
            // The next operation reads the same file and reports what is wrong with it.
            return;
        }

        bool hadError = Interlocked.Exchange(ref _hasError, faults.HasError);
        if (faults.IsVanished && Interlocked.CompareExchange(ref _state, Vanished, Opened) == Opened)
        {
            Signaled?.Invoke(DeviceSignal.Vanished, $"the faults file {_options.FaultsFile} says that the device vanished");
        }
        else if (faults.HasError && !hadError && _state == Opened)
        {
            Signaled?.Invoke(DeviceSignal.Failed, $"the faults file {_options.FaultsFile} says that the device has an error");
        }
        else if (faults.IsRequested && _state == Opened && Interlocked.Exchange(ref _wasRequested, true) == false)
        {
            Signaled?.Invoke(DeviceSignal.Requested, $"the faults file {_options.FaultsFile} asks for the device back");
        }
    }

    private ImmutableArray<SimulatedBar> MakeBars()
    {
        var bars = new List<SimulatedBar>();
        try
        {
            foreach (var bar in _options.Bars)
            {
                bars.Add(new SimulatedBar(Name, bar));
            }

            return [.. bars];
        }
        catch
        {
            bars.ForEach(bar => bar.Dispose());
            throw;
        }
    }

    private SimulatedBar FindBar(int index, ImmutableArray<BarRange> ranges)
    {
        var bar = FindBar(index);
        foreach (var range in ranges)
        {
            Check(
                range.Length > 0 && (range.Offset | range.Length) % _whenOpen.PageSize == 0 && range.Offset < bar.Description.Size && range.Length <= bar.Description.Size - range.Offset,
                $"has no range {range} in BAR {index}");
        }

        return bar;
    }

    private SimulatedBar FindBar(int index)
    {
        foreach (var bar in _bars)
        {
            if (bar.Description.Index == index)
            {
                return bar;
            }
        }

        throw new InvalidOperationException($"device {Name} has no BAR {index}");
    }

    private void Check(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOperationException($"device {Name} {otherwise}");
        }
    }

    private static DeviceDescription Describe(SimulatedDeviceOptions options)
    {
        ulong page = (ulong)Environment.SystemPageSize;
        foreach (var bar in options.Bars)
        {
            if (bar.Size == 0 || bar.Size % page != 0)
            {
                throw new ArgumentException($"BAR {bar.Index} of simulated device {options.Name} has {bar.Size} bytes; it must have a multiple of {page}", nameof(options));
            }
        }

        return new DeviceDescription(
            "simulated",
            "",
            options.Domain,
            options.Domain == RevocationDomain.Selective
                ? "simulated in memory: each buffer is revoked by truncating it"
                : "simulated in memory: buffers are revoked all at once, by closing the device",
            [.. options.Bars.OrderBy(bar => bar.Index)],
            page,
            [MemoryAttribute.NonCached, MemoryAttribute.WriteCombining],
            [BufferAccess.ReadWrite, BufferAccess.ReadOnly],
            ResetMeans.ByFunction("its simulated BARs are zeroed"));
    }
}
