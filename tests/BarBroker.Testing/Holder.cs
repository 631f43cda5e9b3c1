// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;

namespace BarBroker.Testing;

/// <summary>A process of its own that holds a buffer and does with it what it is told (tests/native/holder.c).</summary>
public sealed class Holder : IDisposable
{
    private readonly Process _process;
    private readonly Socket _control;
    private readonly byte[] _buffer = new byte[256];
    private bool _isDisposed;

    private Holder(Process process, Socket control, string path)
    {
        _process = process;
        _control = control;
        Path = path;
    }

    /// <summary>Where another holder passes its fd to.</summary>
    public string Path { get; }

    public int Pid => _process.Id;

    public static async Task<Holder> Start(TestDirectory directory)
    {
        string name = directory.File(Guid.NewGuid().ToString("N")[..8]);
        using var listener = FdSocket.Create();
        listener.Bind(new UnixDomainSocketEndPoint(name));
        listener.Listen();
        var process = Process.Start(NativeProgram.Build("holder.c"), [name, $"{name}.pass"]);
        try
        {
            return new Holder(process, await Wait.For(listener.AcceptAsync(), "the holder to connect"), $"{name}.pass");
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    /// <summary>Sends a command, with the fd for "hold"; returns the answer.</summary>
    public async Task<string> Tell(string command, FileDescriptor? file = null)
    {
        FdSocket.TrySend(_control, Encoding.ASCII.GetBytes(command), file is null ? [] : [file]);
        return await Answer(command);
    }

    /// <summary>Takes the fd and maps it.</summary>
    public async Task Hold(FileDescriptor file, bool writable = true) =>
        Assert.Equal("ok", await Tell(string.Create(CultureInfo.InvariantCulture, $"hold {file.GetSize()}{(writable ? "" : " ro")}"), file));

    /// <summary>Ends the forked child, after which the parent obeys again.</summary>
    public async Task EndChild() => Assert.Equal("ok", await Tell("exit"));

    /// <summary>Kills the process, and its child. Doing it again does nothing.</summary>
    public void Dispose()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _control.Dispose();
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private async Task<string> Answer(string command)
    {
        using var packet = await Wait.For(FdSocket.ReceiveAsync(_control, _buffer, 1, CancellationToken.None).AsTask(), $"the holder's answer to \"{command}\"");
        return packet.Length > 0 ? Encoding.ASCII.GetString(_buffer, 0, packet.Length) : throw new InvalidOperationException($"the holder died at \"{command}\"");
    }
}
