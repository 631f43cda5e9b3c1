// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Runtime.InteropServices;
using Grpc.Net.Client;

namespace BarBroker.Tests.Rpc;

/// <summary>Connections as another uid, from this process. Needs root.</summary>
internal static partial class SomebodyElse
{
    // asm/unistd_64.h; by the raw call, because glibc's would change every thread of the process (setresuid(2), "C library/kernel differences").
    private const nint SetResUid = 117;

    public static GrpcChannel Open(string socket, uint uid) => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler { ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(new NetworkStream(Connect(socket, uid), ownsSocket: true)), UseProxy = false },
        DisposeHttpClient = true,
    });

    /// <summary>On a thread of its own, whose uid alone is changed: SO_PEERCRED is what the connecting thread was.</summary>
    private static Socket Connect(string path, uint uid)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (Syscall(SetResUid, -1, (nint)uid, -1) != 0)
                {
                    throw new InvalidOperationException($"setresuid: errno {Marshal.GetLastPInvokeError()}");
                }

                socket.Connect(new UnixDomainSocketEndPoint(path));
            }
            catch (Exception exception)
            {
                failure = exception;
            }
            finally
            {
                _ = Syscall(SetResUid, -1, 0, -1);
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? socket : throw new InvalidOperationException("could not connect as another uid", failure);
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Syscall(nint number, nint first, nint second, nint third);
}
