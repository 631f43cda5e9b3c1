// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Text;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;

namespace BarBroker.Tests.Restart;

/// <summary>The socket that a service manager is told on (NOTIFY_SOCKET). It keeps nothing: what came is looked at and closed.</summary>
internal sealed class ManagerSocket : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly byte[] _buffer = new byte[1024];

    public ManagerSocket() => _socket.Bind(new UnixDomainSocketEndPoint(Path));

    public string Path => _directory.File("notify");

    /// <summary>The next message that is there, and what /proc calls the files that came with it; null: none is there.</summary>
    public (string State, string Files)? TryReceive()
    {
        if (FdSocket.TryReceive(_socket, _buffer, FdSocket.MaxFiles) is not { } packet)
        {
            return null;
        }

        using (packet)
        {
            return (Encoding.UTF8.GetString(_buffer, 0, packet.Length), string.Join(',', packet.Files.Select(static file => file.ReadLink())));
        }
    }

    /// <summary>Reads until that message comes.</summary>
    /// <returns>How many files it would keep by then.</returns>
    public async Task<int> CountAsync(string until)
    {
        var kept = new Dictionary<string, int>();
        while (true)
        {
            await FdSocket.WaitReadableAsync(_socket, TestContext.Current.CancellationToken);
            while (TryReceive() is var (state, files))
            {
                string[] lines = state.Split('\n');
                if (lines[0] == until)
                {
                    return kept.Values.Sum();
                }

                kept[lines[1]] = lines[0] == "FDSTORE=1" ? kept.GetValueOrDefault(lines[1]) + files.Split(',').Length : 0;
            }
        }
    }

    /// <summary>Nobody listens from now on.</summary>
    public void Close()
    {
        _socket.Dispose();
        File.Delete(Path);
    }

    public void Dispose()
    {
        _socket.Dispose();
        _directory.Dispose();
    }
}
