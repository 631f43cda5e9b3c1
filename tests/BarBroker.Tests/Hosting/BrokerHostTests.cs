// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Net.Sockets;
using BarBroker.Hosting;
using BarBroker.Linux;
using BarBroker.Testing;
using BarBroker.V1;
using Grpc.Core;

namespace BarBroker.Tests.Hosting;

public sealed class BrokerHostTests : BrokerTest
{
    private static readonly StatusCode[] Expected = [StatusCode.Unavailable, StatusCode.Internal];

    protected override string More => """ "limits": { "connectionsPerUid": 8 }, """;

    [Fact]
    public void Build_DirectoryInUse_RefusesAndNamesTheHolder()
    {
        var exception = Assert.Throws<StartupException>(Build);

        Assert.Contains("in use", exception.Message, StringComparison.Ordinal);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId}"), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_Restarted_EpochsGrowAndIdsDiffer()
    {
        var before = await Acquire();
        await Broker.DisposeAsync();
        await Start();

        using var channel = Open(ClientSocket);
        var after = (await new LeaseService.LeaseServiceClient(channel).AcquireAsync(Sized(Page), cancellationToken: Cancellation)).Lease;

        Assert.True(after.Epoch > before.Epoch, $"{after.Epoch} after {before.Epoch}");
        Assert.NotEqual(before.Id, after.Id);
    }

    [Theory]
    [InlineData("")]
    [InlineData("barbroker epochs 1\n17\n12\n")]
    [InlineData("barbroker epochs 2\n17\n11\n")]
    [InlineData("barbroker epochs 1\n0\n0\n")]
    [InlineData("barbroker epochs 1\n18446744073709551615\nffffffffffffffff\n")]
    public async Task Build_EpochsDamaged_RefusesAndSaysWhatToDo(string text)
    {
        await Broker.DisposeAsync();
        File.WriteAllText(Directory.File("state/epochs"), text);

        var exception = Assert.Throws<StartupException>(Build);

        Assert.Contains("damaged", exception.Message, StringComparison.Ordinal);
        Assert.Contains("remove it", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_StaleSockets_Replaced()
    {
        await Broker.DisposeAsync();
        foreach (string path in new[] { ClientSocket, OperatorSocket })
        {
            using var stale = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            stale.Bind(new UnixDomainSocketEndPoint(path));

            // The runtime removes the file of a socket that it closes; a killed broker does not.
            File.Move(path, path + ".kept");
            stale.Dispose();
            File.Move(path + ".kept", path);
        }

        await Start();

        using var channel = Open(ClientSocket);
        Assert.NotEmpty((await new LeaseService.LeaseServiceClient(channel).ListDevicesAsync(new(), cancellationToken: Cancellation)).Devices);
    }

    [Fact]
    public async Task Start_SomebodyAnswersOnSocket_Refuses()
    {
        await Broker.DisposeAsync();
        using var other = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        other.Bind(new UnixDomainSocketEndPoint(OperatorSocket));
        other.Listen();
        await using var host = Build();

        var exception = await Assert.ThrowsAsync<StartupException>(() => host.StartAsync(Cancellation));

        Assert.Contains(OperatorSocket, exception.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(OperatorSocket));
    }

    [Fact]
    public void Sockets_Permissions_GroupOrOwnerOnly()
    {
        var expected = Users.EffectiveUid == 0
            ? UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
            : UnixFileMode.UserRead | UnixFileMode.UserWrite;

        Assert.All(["broker.sock", "admin.sock", "fd.sock"], name => Assert.Equal(expected, File.GetUnixFileMode(Directory.File(name))));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Directory.File("state")));
    }

    [Fact]
    public async Task Stop_LeasesAndStreams_EndedInOrder()
    {
        var lease = await Acquire();
        using var watch = Client.Watch(new WatchRequest(), cancellationToken: Cancellation);
        using var keepAlive = Client.KeepAlive(cancellationToken: Cancellation);
        await Next(watch.ResponseStream, "the first message");
        await keepAlive.RequestStream.WriteAsync(new KeepAliveRequest(), Cancellation);
        await Next(keepAlive.ResponseStream, "the answer to no heartbeats");

        var stopping = Broker.StopAsync("test");

        Lease? ended = null;
        var end = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await Wait.For(watch.ResponseStream.MoveNext(Cancellation), "the end of the watch"))
            {
                ended = watch.ResponseStream.Current.Lease ?? ended;
            }
        });
        await Wait.For(stopping, "the broker to stop");
        Assert.Equal((lease.Id, LeaseState.Ended, EndReason.BrokerShutdown), (ended?.Id, ended?.State ?? 0, ended?.EndReason ?? 0));

        // UNAVAILABLE; or INTERNAL, from a client that sees the connection close before it has read that.
        Assert.Contains(end.StatusCode, Expected);
        Assert.Contains((await Assert.ThrowsAsync<RpcException>(() => keepAlive.ResponseStream.MoveNext(Cancellation))).StatusCode, Expected);
        Assert.False(File.Exists(ClientSocket));
    }

    [Fact]
    public async Task Connections_MoreThanTheLimit_ClosedAndTheRestGoOn()
    {
        await Client.ListDevicesAsync(new(), cancellationToken: Cancellation);
        var open = new List<Stream>();
        for (int i = 0; i < 20; i++)
        {
            open.Add(Own(await Dial(ClientSocket, Cancellation)));
        }

        // To a greeting the broker answers with its settings; whoever is refused reads the end, or a reset.
        int refused = 0;
        foreach (var stream in open)
        {
            refused += await IsClosed(stream) ? 1 : 0;
        }

        Assert.Equal(13, refused);
        Assert.Equal(1, Logs.Entries.Count(entry => entry.Event.Id == 203));
        await Client.ListDevicesAsync(new(), cancellationToken: Cancellation);
        await Operator.GetStatusAsync(new(), cancellationToken: Cancellation);
    }

    private static async Task<bool> IsClosed(Stream stream)
    {
        try
        {
            await stream.WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0], Cancellation);
            return await stream.ReadAsync(new byte[1], Cancellation) == 0;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
