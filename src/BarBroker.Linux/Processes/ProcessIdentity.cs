// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.Processes;

/// <summary>Equal for two pidfds of one process, and for no two processes since boot, whatever their numbers.</summary>
/// <param name="Pid">0 where <paramref name="Key"/> says everything.</param>
/// <param name="Key">The inode in pidfs; before Linux 6.9 the start time in clock ticks.</param>
public readonly record struct ProcessIdentity(int Pid, ulong Key);
