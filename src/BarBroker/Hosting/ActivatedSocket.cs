// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.ServiceManager;

namespace BarBroker.Hosting;

/// <summary>A listening socket that a socket unit of the service manager made, and goes on holding while no broker runs.</summary>
internal static class ActivatedSocket
{
    private const int SolSocket = 1;
    private const int SoAcceptConn = 30;

    /// <summary>The socket, if it is what the broker would have bound itself: that kind, listening, at that path, and open to nobody else. Null: none of that name was passed.</summary>
    /// <param name="path">Its last part is what the unit calls it (<c>FileDescriptorName=</c>).</param>
    /// <exception cref="StartupException">It is something else.</exception>
    public static Socket? Take(ActivatedDescriptors passed, string path, SocketType type, SocketAccess access)
    {
        string name = Path.GetFileName(path);
        var files = passed.Claim(name);
        if (files.IsEmpty)
        {
            return null;
        }

        Socket? socket = null;
        try
        {
            if (files is not [var file])
            {
                throw Wrong(name, $"{files.Length} descriptors have this name; one socket must");
            }

            socket = Open(file, name);
            Check(socket, name, path, type);
            CheckAccess(name, path, access);
            return socket;
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
        finally
        {
            foreach (var file in files)
            {
                file.Dispose();
            }
        }
    }

    private static Socket Open(FileDescriptor file, string name)
    {
        // The socket owns another descriptor of it, since this one cannot be given away.
        using var copy = file.Duplicate();
        var handle = new SafeSocketHandle(copy.DangerousGetHandle(), ownsHandle: true);
        try
        {
            var socket = new Socket(handle);
            copy.SetHandleAsInvalid();
            return socket;
        }
        catch (SocketException exception)
        {
            handle.SetHandleAsInvalid();
            handle.Dispose();
            throw Wrong(name, $"it is no socket ({exception.Message})");
        }
    }

    private static void Check(Socket socket, string name, string path, SocketType type)
    {
        if (socket.AddressFamily is AddressFamily.Unknown)
        {
            throw Wrong(name, "it is no socket");
        }

        if (socket.AddressFamily != AddressFamily.Unix || socket.SocketType != type)
        {
            throw Wrong(name, $"it is a socket of {socket.AddressFamily}, {socket.SocketType}, not of Unix, {type}");
        }

        Span<byte> listens = stackalloc byte[sizeof(int)];
        if (socket.GetRawSocketOption(SolSocket, SoAcceptConn, listens) != sizeof(int) || BitConverter.ToInt32(listens) == 0)
        {
            throw Wrong(name, "it does not listen");
        }

        if (socket.LocalEndPoint?.ToString() is var bound && bound != path)
        {
            throw Wrong(name, $"it is bound to {(string.IsNullOrEmpty(bound) ? "nothing" : bound)}, and the configuration wants {path}; give both the same path");
        }
    }

    private static void CheckAccess(string name, string path, SocketAccess access)
    {
        var owner = FileOwner.Of(path) ?? throw Wrong(name, $"{path} is not there any more; restart the unit");
        if ((owner.Mode & ~access.Mode) != 0 || (access.Group is { } group && group != owner.Gid))
        {
            throw Wrong(name, $"{path} has {owner}, and must have {(access.Group is { } gid ? $"gid {gid} and " : "")}no more than mode {Convert.ToString(access.Mode, 8)}; see SocketGroup= and SocketMode=");
        }
    }

    private static StartupException Wrong(string name, string what) => new($"The socket unit's {name} is not what the broker needs: {what}.");
}
