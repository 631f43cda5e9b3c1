// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using BarBroker.Linux.Processes;
using BarBroker.Linux.Sockets;
using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>Starts the processes of tests/native/lease_holder.c and ends them.</summary>
internal sealed class HolderProcesses : IAsyncDisposable
{
    private readonly string _path;
    private readonly string _program;
    private readonly Socket _listener = FdSocket.Create();
    private readonly List<HolderProcess> _holders = [];
    private readonly List<Process> _processes = [];

    public HolderProcesses(string directory)
    {
        _path = Path.Combine(directory, "control");

        // A copy where every user reaches it, as the checkout need not be.
        _program = Path.Combine(directory, "lease_holder");
        File.Copy(NativeProgram.Build("lease_holder.c"), _program);
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        File.SetUnixFileMode(_path, (UnixFileMode)0b110_110_110);
        _listener.Listen();
    }

    /// <param name="launcher">What runs the program, such as setpriv with its arguments.</param>
    public Task<HolderProcess> StartAsync(string name, params string[] launcher)
    {
        string[] command = [.. launcher, _program, _path, name];
        _processes.Add(Process.Start(new ProcessStartInfo(command[0], command[1..]))!);
        return GreetAsync(name);
    }

    /// <summary>A child of the holder, with all that it has mapped.</summary>
    /// <param name="keepsChannel">Also its connection to the fd socket.</param>
    public async Task<HolderProcess> ForkAsync(HolderProcess parent, string name, bool keepsChannel = false)
    {
        await parent.AskAsync(keepsChannel ? $"fork {name} keep" : $"fork {name}");
        return await GreetAsync(name);
    }

    /// <summary>The same process with another program, which is the same one again. What was returned before for it is at its end.</summary>
    /// <param name="how">Of the connection to the fd socket: keep, drop; or thread: execve() is called by another thread than the first.</param>
    public async Task<HolderProcess> ExecAsync(HolderProcess holder, string name, string how)
    {
        holder.Order($"exec {name} {how}");
        return await GreetAsync(name);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var holder in _holders)
        {
            await holder.DisposeAsync();
        }

        foreach (var process in _processes)
        {
            await Wait.For(process.WaitForExitAsync(), $"process {process.Id} is gone after SIGKILL", Patience.Long);
            process.Dispose();
        }

        _listener.Dispose();
    }

    private async Task<HolderProcess> GreetAsync(string name)
    {
        var control = await Wait.For(_listener.AcceptAsync(), $"{name} connects to the test", Patience.Long);
        var buffer = new byte[256];
        var packet = await FdSocket.ReceiveAsync(control, buffer, 0, TestContext.Current.CancellationToken);
        var words = Encoding.ASCII.GetString(buffer, 0, packet.Length).Split(' ');
        Assert.Equal(["hello", name], words[..2]);
        // What the process says is its number in its own namespace.
        var holder = new HolderProcess(name, PeerCredentials.Of(control).Pid, int.Parse(words[2], CultureInfo.InvariantCulture), control);
        _holders.Add(holder);
        return holder;
    }
}
