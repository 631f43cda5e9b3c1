// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Linux.ServiceManager;

/// <summary>A descriptor that a service manager gave this process.</summary>
/// <param name="Name">What the manager calls it: <c>FileDescriptorName=</c> of the socket unit, or the name that it was stored by. Several may have the same.</param>
/// <param name="File">Close-on-exec. Owned by whoever claimed it. Nothing of what it is has been checked.</param>
public readonly record struct PassedDescriptor(string Name, FileDescriptor File);
