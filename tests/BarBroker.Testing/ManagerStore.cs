// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Text;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;

namespace BarBroker.Testing;

/// <summary>A service manager's end of NOTIFY_SOCKET, and its store of descriptors (sd_pid_notify_with_fds(3), FDSTORE=1).</summary>
public sealed class ManagerStore : IAsyncDisposable
{
    private const string NameOfFile = "FDNAME=";

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly Action<string[]>? _told;
    private readonly Lock _gate = new();
    private readonly List<(string Name, FileDescriptor File)> _kept = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _listening;

    /// <param name="path">Of the socket.</param>
    /// <param name="told">Is given the lines of each message, after it was done.</param>
    public ManagerStore(string path, Action<string[]>? told = null)
    {
        _told = told;
        _socket.Bind(new UnixDomainSocketEndPoint(path));
        _listening = ListenAsync();
    }

    /// <summary>Looks at what is kept, or changes it, while nothing comes.</summary>
    public T With<T>(Func<List<(string Name, FileDescriptor File)>, T> use)
    {
        lock (_gate)
        {
            return use(_kept);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening;
        _stop.Dispose();
        _socket.Dispose();
        _kept.ForEach(static kept => kept.File.Dispose());
    }

    private async Task ListenAsync()
    {
        var buffer = new byte[8192];
        try
        {
            while (true)
            {
                var packet = await FdSocket.ReceiveAsync(_socket, buffer, FdSocket.MaxFiles, _stop.Token);
                string[] lines = Encoding.UTF8.GetString(buffer, 0, packet.Length).Split('\n');
                Take(lines, packet);
                _told?.Invoke(lines);
            }
        }
        catch (OperationCanceledException)
        {
            // Over.
        }
    }

    private void Take(string[] lines, ReceivedPacket packet)
    {
        string name = Array.Find(lines, static line => line.StartsWith(NameOfFile, StringComparison.Ordinal))?[NameOfFile.Length..] ?? "";
        lock (_gate)
        {
            if (lines.Contains("FDSTORE=1"))
            {
                foreach (var file in packet.Files)
                {
                    Keep(name, file);
                }

                return;
            }

            if (lines.Contains("FDSTOREREMOVE=1"))
            {
                _kept.FindAll(kept => kept.Name == name).ForEach(static kept => kept.File.Dispose());
                _kept.RemoveAll(kept => kept.Name == name);
            }
        }

        packet.Dispose();
    }

    /// <summary>As systemd does: one that it has already, by whichever name, it does not take again.</summary>
    private void Keep(string name, FileDescriptor file)
    {
        if (_kept.Exists(kept => kept.File.GetFileIdentity() == file.GetFileIdentity()))
        {
            file.Dispose();
        }
        else
        {
            _kept.Add((name, file));
        }
    }
}
