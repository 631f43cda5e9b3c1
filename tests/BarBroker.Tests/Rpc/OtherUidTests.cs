// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using System.Runtime.InteropServices;
using BarBroker.Linux;
using BarBroker.Tests.Hosting;
using BarBroker.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace BarBroker.Tests.Rpc;

/// <summary>What one uid may not learn of, or do to, the leases of another. Needs root, to connect as somebody else.</summary>
public sealed partial class OtherUidTests : BrokerTest
{
    private const uint Stranger = 54321;

    // asm/unistd_64.h; by the raw call, because glibc's would change every thread of the process (setresuid(2), "C library/kernel differences").
    private const nint SetResUid = 117;

    [Fact]
    public async Task EveryCall_LeaseOfAnotherUid_AsIfItWereNotThere()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can connect as another uid");
        var lease = await Acquire();
        using var channel = OpenAsStranger();
        var stranger = new LeaseService.LeaseServiceClient(channel);

        await Refused(StatusCode.NotFound, stranger.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation));
        await Refused(StatusCode.NotFound, stranger.ReleaseAsync(new ReleaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation));
        Assert.Empty((await stranger.ListLeasesAsync(new ListLeasesRequest { IncludeEnded = true }, cancellationToken: Cancellation)).Leases);
        using var keepAlive = stranger.KeepAlive(cancellationToken: Cancellation);
        await keepAlive.RequestStream.WriteAsync(new KeepAliveRequest { Heartbeats = { new Heartbeat { LeaseId = lease.Id } } }, Cancellation);
        Assert.Equal(LeaseState.Unspecified, (await Next(keepAlive.ResponseStream, "the answer to a heartbeat")).Results[0].State);

        Assert.Equal(LeaseState.Granted, (await Client.GetLeaseAsync(new GetLeaseRequest { LeaseId = lease.Id }, cancellationToken: Cancellation)).Lease.State);
    }

    [Fact]
    public async Task Watch_LeaseOfAnotherUid_NotTold()
    {
        Assert.SkipUnless(Users.EffectiveUid == 0, "only root can connect as another uid");
        using var channel = OpenAsStranger();
        var stranger = new LeaseService.LeaseServiceClient(channel);
        using var watch = stranger.Watch(new WatchRequest(), cancellationToken: Cancellation);
        await Next(watch.ResponseStream, "the first message");

        await Acquire();
        var own = (await stranger.AcquireAsync(Sized(Page), cancellationToken: Cancellation)).Lease;

        var told = (await Next(watch.ResponseStream, "the stranger's own lease")).Lease;
        Assert.Equal((own.Id, Stranger), (told.Id, told.Owner.Uid));
    }

    private GrpcChannel OpenAsStranger()
    {
        // The stranger keeps root's group, which is the socket's; the directory must let it pass.
        File.SetUnixFileMode(Directory.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute);
        return GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(new NetworkStream(ConnectAsStranger(), ownsSocket: true)), UseProxy = false },
            DisposeHttpClient = true,
        });
    }

    /// <summary>On a thread of its own, whose uid alone is changed: SO_PEERCRED is what the connecting thread was.</summary>
    private Socket ConnectAsStranger()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (Syscall(SetResUid, -1, (nint)Stranger, -1) != 0)
                {
                    throw new InvalidOperationException($"setresuid: errno {Marshal.GetLastPInvokeError()}");
                }

                socket.Connect(new UnixDomainSocketEndPoint(ClientSocket));
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
