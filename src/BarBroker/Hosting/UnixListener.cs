// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Hosting;

/// <summary>Binds the broker's sockets to their paths, or takes those that a service manager has bound.</summary>
internal static class UnixListener
{
    /// <summary>As <see cref="Bind"/>, unless the service manager has passed a socket for this path. Call it only while holding the runtime directory.</summary>
    /// <exception cref="StartupException">What was passed is not what is needed, or somebody answers there, or the kernel refused.</exception>
    public static Socket TakeOrBind(ActivatedDescriptors passed, string path, SocketType type, SocketAccess access) =>
        ActivatedSocket.Take(passed, path, type, access) ?? Bind(path, type, access);

    /// <summary>
    /// Binds without listening: until the caller listens the kernel refuses every connection, so nobody connects before owner and mode are right.
    /// A socket file that nobody answers on is replaced. Call it only while holding the runtime directory.
    /// </summary>
    /// <exception cref="StartupException">Somebody answers there, or the kernel refused.</exception>
    public static Socket Bind(string path, SocketType type, SocketAccess access)
    {
        var socket = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        try
        {
            RemoveStale(path, type);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            Users.SetGroupAndMode(path, access.Group, access.Mode);
            return socket;
        }
        catch (Exception exception) when (exception is IOException or SocketException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new StartupException($"The socket {path} cannot be made: {exception.Message}", exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path, SocketType type)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionRefused)
        {
            // Also what the kernel says of a file that is no socket: never remove one of those.
            if ((File.GetAttributes(path) & FileAttributes.ReparsePoint) != 0 || new FileInfo(path).Length != 0)
            {
                throw new StartupException($"{path} is in the way and is no socket; remove it.", exception);
            }

            File.Delete(path);
            return;
        }
        catch (SocketException exception)
        {
            throw new StartupException($"Somebody may be answering on {path} ({exception.Message}); stop it, or choose another directory with --runtime-dir.", exception);
        }

        throw new StartupException($"Somebody answers on {path}; stop it, or choose another directory with --runtime-dir.");
    }
}
