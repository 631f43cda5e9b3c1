// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Leases;

/// <summary>What there is of a device of an earlier run. Whoever takes it up, or does not, closes the files.</summary>
/// <param name="Generation">That the files are of.</param>
/// <param name="Files">Named by their roles.</param>
/// <param name="Shared">What it shares with other devices, by the names that it is kept by. Duplicates: each device has its own.</param>
/// <param name="Leases">To be taken up.</param>
/// <param name="Strays">Buffers that were kept, and never left the broker, or belong to no lease: to be revoked.</param>
/// <param name="Lost">Places of leases that cannot be taken up.</param>
/// <param name="Problem">Why the device cannot be believed and is to be closed wholly; empty: it can.</param>
internal sealed record KeptDevice(
    int Generation,
    ImmutableArray<PassedDescriptor> Files,
    ImmutableArray<PassedDescriptor> Shared,
    ImmutableArray<KeptLease> Leases,
    ImmutableArray<PassedDescriptor> Strays,
    ImmutableArray<BoardPlace> Lost,
    string Problem)
{
    public void CloseFiles()
    {
        foreach (FileDescriptor file in Files.Concat(Shared).Concat(Strays).Select(static f => f.File).Concat(Leases.SelectMany(static l => l.Files)))
            file.Dispose();
    }
}
