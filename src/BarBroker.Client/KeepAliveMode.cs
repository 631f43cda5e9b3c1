// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>What keeps a lease alive.</summary>
public enum KeepAliveMode
{
    /// <summary>
    /// The application's work: the lease is renewed only when <see cref="Lease.Pulse"/> was called since the last renewal. An application that
    /// hangs stops pulsing, and its lease expires after the TTL.
    /// </summary>
    WhilePulsed = 0,

    /// <summary>
    /// The process: the lease is renewed for as long as the process runs and its thread pool works. A hung application keeps its lease, also past
    /// a hang limit. For holders whose life is the sign of work, such as one that waits for a child process.
    /// </summary>
    WhileProcessLives = 1,
}
