// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux.Sockets;

namespace BarBroker.Testing;

/// <summary>Has the runtime open what it opens once and keeps (socket engine, signal pipes), so that it does not look like a leak.</summary>
internal static class Warmup
{
    private static readonly Lazy<bool> Done = new(() =>
    {
        using var directory = new TestDirectory();
        using var listener = FdSocket.Create();
        listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(directory.Path, "s")));
        listener.Listen();
        var accepting = listener.AcceptAsync();
        using var client = FdSocket.Create();
        client.Connect(listener.LocalEndPoint!);
        using var server = accepting.GetAwaiter().GetResult();
        return NativeProgram.Run("true").Status == 0;
    });

    public static void Run() => _ = Done.Value;
}
