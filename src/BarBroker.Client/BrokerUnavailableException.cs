// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using Grpc.Core;

namespace BarBroker.Client;

/// <summary>Nobody answers on the broker's socket, or it may not be opened.</summary>
public sealed class BrokerUnavailableException(string socketPath, string message, Exception? inner = null)
    : BrokerException(StatusCode.Unavailable, $"{socketPath}: {message}", inner)
{
    public string SocketPath { get; } = socketPath;

    /// <summary>The socket is there, but its permissions keep this user out.</summary>
    public bool IsAccessDenied { get; init; }

    /// <summary>Says what the failed connect means.</summary>
    public static BrokerUnavailableException From(string socketPath, Exception cause)
    {
        var error = FindSocketError(cause);
        string message = error switch
        {
            SocketError.AccessDenied => "this user may not open it; the group of the socket may (see its owner and mode)",
            SocketError.AddressNotAvailable => "there is no such socket; is barbrokerd running, and with this runtime directory?",
            SocketError.ConnectionRefused => "no broker accepts connections there; is barbrokerd running?",
            _ => $"the broker cannot be reached: {cause.Message}",
        };
        return new BrokerUnavailableException(socketPath, message, cause) { IsAccessDenied = error == SocketError.AccessDenied };
    }

    private static SocketError? FindSocketError(Exception? cause)
    {
        for (; cause is not null; cause = cause.InnerException)
        {
            if (cause is SocketException socket)
            {
                return socket.SocketErrorCode;
            }
        }

        return null;
    }
}
