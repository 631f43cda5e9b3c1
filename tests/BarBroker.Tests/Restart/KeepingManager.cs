// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux.ServiceManager;
using BarBroker.Testing;

namespace BarBroker.Tests.Restart;

/// <summary>A service manager that keeps what it is given, and passes it to whoever starts next in this process.</summary>
internal sealed class KeepingManager : IAsyncDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly ManagerStore _store;

    public KeepingManager()
    {
        _store = new ManagerStore(_directory.File("notify"));
        Notifier = new ServiceNotifier(_directory.File("notify"));
    }

    public ServiceNotifier Notifier { get; }

    /// <summary>The names of what it keeps, each as often as it is there, after it has done all that it was told before.</summary>
    public ImmutableArray<string> Stored()
    {
        AwaitDone();
        return _store.With<ImmutableArray<string>>(static kept => [.. kept.Select(static one => one.Name).Order(StringComparer.Ordinal)]);
    }

    /// <summary>A start with copies of what it keeps, as a process that is executed gets them.</summary>
    public ServiceStart Start(int capacity)
    {
        AwaitDone();
        var passed = _store.With<ImmutableArray<PassedDescriptor>>(static kept => [.. kept.Select(static one => new PassedDescriptor(one.Name, one.File.Duplicate()))]);
        return new ServiceStart(new ActivatedDescriptors(passed), Notifier, null, capacity);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _directory.Dispose();
    }

    private void AwaitDone() => Assert.True(Notifier.Barrier(TimeSpan.FromSeconds(20)), "the manager comes to the barrier");
}
