// SPDX-License-Identifier: Apache-2.0

using System.Collections.Concurrent;
using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;

namespace BarBroker.Tests.Leases;

/// <summary>A device at the kernel seam that knows what is accessible, and does what a test tells it.</summary>
internal sealed partial class FakeDevice(string name, RevocationDomain domain = RevocationDomain.Selective, ulong barSize = 1 << 20) : IRestorableDevice
{
    public const ulong Page = 4096;

    private readonly Lock _gate = new();
    private readonly List<ExportedBuffer> _accessible = [];
    private int _inside;
    private bool _open;

    public event Action<DeviceSignal, string>? Signaled;

    public string Name => name;

    public DeviceDescription? Description { get; private set; }

    /// <summary>Called first in every call, with its name; may throw, block, or call back into the manager.</summary>
    public Action<string>? OnCall { get; set; }

    /// <summary>Called for each export that succeeds, and each fill.</summary>
    public Action<int, ImmutableArray<BarRange>>? Exported { get; set; }

    public Action<int, BarRange, uint>? FilledRange { get; set; }

    /// <summary>How many exports of a call to Export succeed before it throws.</summary>
    public int? ExportsUntilFailure { get; set; }

    public bool FailOpen { get; set; }

    public bool FailClose { get; set; }

    public bool FailRevoke { get; set; }

    public bool FailReset { get; set; }

    public bool FailFill { get; set; }

    /// <summary>What was written, in order.</summary>
    public List<(int Bar, BarRange Range, uint Word)> Filled { get; } = [];

    public bool IsOpen => _open;

    public int Opens { get; private set; }

    public int Closes { get; private set; }

    public int Resets { get; private set; }

    public int Revokes { get; private set; }

    public bool Disposed { get; private set; }

    public ulong BarSize { get; set; } = barSize;

    public ImmutableArray<BufferAccess> Accesses { get; set; } = [BufferAccess.ReadWrite, BufferAccess.ReadOnly];

    /// <summary>What the manager did that the contract of a device forbids.</summary>
    public ConcurrentQueue<string> Violations { get; } = [];

    /// <summary>What somebody could reach now.</summary>
    public ImmutableArray<ExportedBuffer> Accessible
    {
        get
        {
            lock (_gate)
                return [.. _accessible];
        }
    }

    public void RaiseLost(string reason) => Signaled?.Invoke(DeviceSignal.Vanished, reason);

    public void Raise(DeviceSignal signal, string reason) => Signaled?.Invoke(signal, reason);

    public void Open()
    {
        using Call _ = Begin(nameof(Open));
        Expect(!_open, "Open of an open device");
        if (FailOpen)
            throw new IOException($"open {Name}: EIO");
        Opens++;
        BeOpen();
    }

    private void BeOpen()
    {
        _open = true;
        Description = new DeviceDescription(
            "fake",
            "",
            domain,
            "as the test wants",
            [new BarDescription(0, BarSize), new BarDescription(2, BarSize * 4)],
            Page,
            [MemoryAttribute.NonCached],
            Accesses,
            ResetMeans.ByFunction("as the test wants"));
    }

    public void Close()
    {
        using Call _ = Begin(nameof(Close));
        if (FailClose)
            throw new IOException($"close {Name}: EIO");
        Closes++;
        _open = false;
        lock (_gate)
            _accessible.Clear();
    }

    public ExportedBuffer Export(int bar, ImmutableArray<BarRange> ranges, BufferAccess access, MemoryAttribute attribute)
    {
        using Call _ = Begin(nameof(Export));
        Expect(_open, "Export of a closed device");
        if (ExportsUntilFailure is { } left)
        {
            ExportsUntilFailure = left - 1;
            if (left == 0)
                throw new IOException($"VFIO_DEVICE_FEATURE_DMA_BUF {Name}: ENOMEM");
        }

        var buffer = new ExportedBuffer(HasFiles ? MakeFile() : (FileDescriptor)new FileDescriptor(-1), bar, ranges, access);
        lock (_gate)
        {
            Expect(!_accessible.Exists(other => Clash(other, buffer)), "Export of what is accessible to somebody else");
            _accessible.Add(buffer);
        }

        Exported?.Invoke(bar, ranges);
        return buffer;
    }

    public void Fill(int bar, BarRange range, uint word)
    {
        using Call _ = Begin(nameof(Fill));
        Expect(_open, "Fill of a closed device");
        if (FailFill)
            throw new IOException($"pwrite {Name}: EIO");
        Filled.Add((bar, range, word));
        FilledRange?.Invoke(bar, range, word);
        lock (_gate)
            Expect(!_accessible.Exists(other => other.Bar == bar && other.Ranges.Any(r => r.Offset < range.End && range.Offset < r.End)), "Fill of what is accessible to somebody");
    }

    public void Revoke(ExportedBuffer buffer)
    {
        using Call _ = Begin(nameof(Revoke));
        Expect(domain == RevocationDomain.Selective, "Revoke on a device that cannot");
        Expect(_open, "Revoke of a closed device");
        if (FailRevoke)
            throw new IOException($"VFIO_DEVICE_FEATURE_DMA_BUF_REVOKE {Name}: EBUSY");
        Revokes++;
        lock (_gate)
            Expect(_accessible.Remove(buffer), "Revoke of what was revoked before");
    }

    public void Reset()
    {
        using Call _ = Begin(nameof(Reset));
        Expect(_open, "Reset of a closed device");
        if (FailReset)
            throw new IOException($"VFIO_DEVICE_RESET {Name}: EINVAL");
        Resets++;
    }

    public void Dispose() => Disposed = true;

    private static bool Clash(ExportedBuffer a, ExportedBuffer b) =>
        a.Bar == b.Bar
        && (a.Access == BufferAccess.ReadWrite || b.Access == BufferAccess.ReadWrite)
        && a.Ranges.Any(x => b.Ranges.Any(y => x.Offset < y.End && y.Offset < x.End));

    // Recorded, not thrown: what a device throws is a failed call to the worker.
    private void Expect(bool condition, string violation)
    {
        if (!condition)
            Violations.Enqueue($"{Name}: {violation}");
    }

    private Call Begin(string call)
    {
        Expect(Interlocked.Increment(ref _inside) == 1, "two calls at a time");
        try
        {
            OnCall?.Invoke(call);
        }
        catch
        {
            Interlocked.Decrement(ref _inside);
            throw;
        }

        return new Call(this);
    }

    private readonly struct Call(FakeDevice device) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref device._inside);
    }
}
