// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;
using BarBroker.V1;
using Mono.Unix.Native;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>One process of tests/native/lease_holder.c, spoken to over its control socket.</summary>
internal sealed class HolderProcess : IAsyncDisposable
{
    private readonly Socket _control;
    private readonly Channel<(string Text, FileDescriptor? File)> _answers = Channel.CreateUnbounded<(string, FileDescriptor?)>();
    private readonly Channel<ulong> _beats = Channel.CreateUnbounded<ulong>();
    private readonly List<Lease> _notices = [];
    private readonly Task _reading;

    public HolderProcess(string name, int pid, int ownPid, Socket control)
    {
        Name = name;
        Pid = pid;
        OwnPid = ownPid;
        _control = control;
        _reading = ReadAsync();
    }

    public string Name { get; }

    public int Pid { get; }

    /// <summary>Its number in its own pid namespace.</summary>
    public int OwnPid { get; }

    /// <summary>The process's signs of life, with the count of its work. They come only while it runs.</summary>
    public ChannelReader<ulong> Beats => _beats.Reader;

    /// <summary>What the broker told the process on its fd channel.</summary>
    public IReadOnlyList<Lease> Notices
    {
        get
        {
            lock (_notices)
            {
                return [.. _notices];
            }
        }
    }

    public void Signal(Signum signal) => Assert.Equal(0, Syscall.kill(Pid, signal));

    /// <summary>The rest of the answer after "ok".</summary>
    public async Task<string> AskAsync(string command)
    {
        var (text, file) = await AnswerAsync(command);
        file?.Dispose();
        return text;
    }

    /// <summary>The rest of the answer after "error": what the process could not do, and why.</summary>
    public async Task<string> FailAsync(string command)
    {
        var (text, file) = await ExchangeAsync(command);
        file?.Dispose();
        Assert.True(text.StartsWith("error ", StringComparison.Ordinal), $"{Name} could do \"{Shorten(command)}\"");
        return text["error ".Length..];
    }

    /// <summary>Without waiting for an answer.</summary>
    public void Order(string command) => Assert.True(FdSocket.TrySend(_control, Encoding.ASCII.GetBytes(command), []), $"{Name} does not take commands");

    /// <summary>What the broker's fd socket answers to this packet; fds that come with it become the process's buffers.</summary>
    public async Task<FdResponse> ExchangeAsync(string path, byte[] packet) =>
        FdResponse.Parser.ParseFrom(Convert.FromHexString(await AskAsync($"show {path} {Convert.ToHexStringLower(packet)}")));

    /// <summary>A connection to a socket of the broker that this process made, for the test to speak over.</summary>
    public async Task<Socket> LendConnectionAsync(string path, bool isFdSocket = false)
    {
        var (_, file) = await AnswerAsync(isFdSocket ? $"lend {path} fd" : $"lend {path}");
        Assert.NotNull(file);
        var socket = new Socket(new SafeSocketHandle(file.Number, ownsHandle: true));
        file.SetHandleAsInvalid();
        return socket;
    }

    /// <summary>What each way to the memory gives now, such as "read=SIGBUS".</summary>
    public async Task<IReadOnlyDictionary<string, string>> ProbeAsync(ulong bytes)
    {
        string answer = await AskAsync(string.Create(CultureInfo.InvariantCulture, $"probe {bytes}"));
        return answer.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(way => way.Split('=')).ToDictionary(way => way[0], way => way[1]);
    }

    public async Task<(long Passes, long Failures)> StatsAsync()
    {
        var numbers = (await AskAsync("stats")).Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray();
        return (numbers[0], numbers[1]);
    }

    /// <summary>Ends the process, stopped or not.</summary>
    public async ValueTask DisposeAsync()
    {
        // Not a test's business whether it is there still.
        _ = Syscall.kill(Pid, Signum.SIGKILL);
        _control.Shutdown(SocketShutdown.Both);
        await _reading;
        _control.Dispose();
    }

    private async Task<(string Text, FileDescriptor? File)> AnswerAsync(string command)
    {
        var (text, file) = await ExchangeAsync(command);
        Assert.True(text.StartsWith("ok", StringComparison.Ordinal), $"{Name} said \"{text}\" to \"{Shorten(command)}\"");
        return (text[2..].TrimStart(), file);
    }

    private async Task<(string Text, FileDescriptor? File)> ExchangeAsync(string command)
    {
        Order(command);
        return await Wait.For(_answers.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask(), $"{Name} answers \"{Shorten(command)}\"", Patience.Long);
    }

    private static string Shorten(string command) => command.Length < 60 ? command : $"{command[..60]}...";

    private async Task ReadAsync()
    {
        var buffer = new byte[70_000];
        while (true)
        {
            ReceivedPacket packet;
            try
            {
                packet = await FdSocket.ReceiveAsync(_control, buffer, 1, CancellationToken.None);
            }
            catch (Exception exception) when (exception is SocketException or LinuxException)
            {
                packet = default;
            }

            if (packet.Length == 0)
            {
                _answers.Writer.TryComplete(new IOException($"process {Name} is gone"));
                _beats.Writer.TryComplete();
                return;
            }

            Sort(packet, buffer.AsSpan(0, packet.Length));
        }
    }

    private void Sort(ReceivedPacket packet, ReadOnlySpan<byte> data)
    {
        if (data.StartsWith("beat "u8))
        {
            _beats.Writer.TryWrite(ulong.Parse(data[5..], CultureInfo.InvariantCulture));
        }
        else if (data.StartsWith("notice "u8))
        {
            var response = FdResponse.Parser.ParseFrom(data[7..]);
            lock (_notices)
            {
                _notices.Add(response.Notice?.Lease ?? throw new InvalidOperationException($"not a notice: {response}"));
            }
        }
        else
        {
            _answers.Writer.TryWrite((Encoding.ASCII.GetString(data), packet.Files.FirstOrDefault()));
        }
    }
}
