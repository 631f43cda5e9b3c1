// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux.Processes;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Processes;

public sealed class PeerCredentialsTests
{
    [Fact]
    public void GroupsOf_OwnSocket_AreThoseOfThisProcess()
    {
        using var directory = new TestDirectory();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var address = new UnixDomainSocketEndPoint(directory.File("s"));
        listener.Bind(address);
        listener.Listen();
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        client.Connect(address);
        using var peer = listener.Accept();

        string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("Groups:", StringComparison.Ordinal));

        Assert.Equal(line["Groups:".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(uint.Parse).Order(), PeerCredentials.GroupsOf(peer).Order());
    }
}
