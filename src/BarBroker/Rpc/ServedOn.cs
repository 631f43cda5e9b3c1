// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Rpc;

/// <summary>Metadata of an endpoint: the sockets it may be reached by.</summary>
internal sealed record ServedOn(SocketKind Sockets);
