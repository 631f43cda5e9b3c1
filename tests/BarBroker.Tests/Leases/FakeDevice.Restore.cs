// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Linux;
using BarBroker.Linux.Memory;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Tests.Leases;

/// <content>What a test has kept of it.</content>
internal sealed partial class FakeDevice
{
    private readonly List<Memfd> _files = [];

    /// <summary>Its buffers are files; else they are nothing.</summary>
    public bool HasFiles { get; set; }

    public bool FailRestore { get; set; }

    /// <summary>Buffers that it does not take up.</summary>
    public Func<int, bool> FailAdopt { get; set; } = static _ => false;

    public int Restores { get; private set; }

    public int Discarded { get; private set; }

    /// <summary>What it has in common with other devices; null: nothing.</summary>
    public KeptFile? Shared { get; set; }

    public ImmutableArray<KeptFile> KeptFiles => !_open || !HasFiles ? [] : Shared is { } shared ? [new KeptFile("fake", MakeFile()), shared] : [new KeptFile("fake", MakeFile())];

    public bool Shares(string role) => role == Shared?.Role;

    public void Restore(ImmutableArray<PassedDescriptor> files, ImmutableArray<PassedDescriptor> shared)
    {
        using Call _ = Begin(nameof(Restore));
        Expect(!_open, "Restore of an open device");
        foreach (PassedDescriptor file in files)
            file.File.Dispose();
        Restores++;
        if (FailRestore)
            throw new IOException("it is something else");
        if (Shared is { } common && !shared.Any(file => file.Name == common.Role))
            throw new IOException("what it shares was not kept");
        BeOpen();
    }

    public ExportedBuffer Adopt(FileDescriptor handle, int bar, ImmutableArray<BarRange> ranges, BufferAccess access)
    {
        using Call _ = Begin(nameof(Adopt));
        Expect(_open, "Adopt of a closed device");
        if (FailAdopt(bar))
            throw new IOException("it is no buffer");
        var buffer = new ExportedBuffer(handle, bar, ranges, access);
        lock (_gate)
            _accessible.Add(buffer);
        return buffer;
    }

    /// <summary>What it has made of files.</summary>
    public void CloseFiles() => _files.ForEach(static file => file.Dispose());

    private Memfd MakeFile()
    {
        var file = Memfd.Create("fake", Page);
        _files.Add(file);
        return file;
    }

    public void Discard(FileDescriptor handle) => Discarded++;
}
