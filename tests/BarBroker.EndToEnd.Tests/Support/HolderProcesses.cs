// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
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
    public async Task<HolderProcess> ForkAsync(HolderProcess parent, string name)
    {
        await parent.AskAsync($"fork {name}");
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
        var holder = new HolderProcess(name, int.Parse(words[2], CultureInfo.InvariantCulture), control);
        _holders.Add(holder);
        return holder;
    }
}
