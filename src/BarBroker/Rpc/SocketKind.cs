// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

/// <summary>The doors of the daemon; what is served on one is not there on the others.</summary>
[Flags]
internal enum SocketKind
{
    None = 0,
    Client = 1,
    Operator = 2,
    Metrics = 4,
}
