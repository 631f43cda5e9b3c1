// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Leases;

/// <summary>Who holds descriptors while no broker runs. Called by any thread, under no lock; waits for a moment at most, except in <see cref="Settle"/>.</summary>
internal interface IDescriptorKeeper
{
    /// <summary>All of them, by one name, in addition to what is there; what devices share (<see cref="KeptName.IsShared"/>) is the same each time, and kept once. False: none of them is kept, and it was said why.</summary>
    /// <exception cref="ObjectDisposedException">One of them is closed: none is kept.</exception>
    bool Keep(string name, ReadOnlySpan<FileDescriptor> files);

    /// <summary>One more has a use for what was kept by this name before this run: a device for what it shares, or a client's process. To be called before any other may drop it.</summary>
    void Join(string name);

    /// <summary>Lets go of all that was kept by this name; of nothing, where nothing was. What devices share, and a client's process, is let go when all who kept or joined it have dropped it.</summary>
    void Drop(string name);

    /// <summary>Returns when everything dropped before is closed, or soon will be, or after a few seconds.</summary>
    void Settle();
}
