// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using BarBroker.Linux.Interop;
using BarBroker.Linux.Sockets;
using static BarBroker.Linux.Interop.Constants;

namespace BarBroker.Linux.ServiceManager;

/// <summary>What this process tells the service manager that started it (sd_notify(3)), and gives it to keep. From any thread.</summary>
public sealed class ServiceNotifier
{
    /// <summary>How long a message waits for room in the manager's queue.</summary>
    private const int PatienceMilliseconds = 1000;

    private readonly UnixDomainSocketEndPoint _manager;

    /// <param name="path">As NOTIFY_SOCKET has it: a path, or an abstract name behind <c>@</c>.</param>
    public ServiceNotifier(string path)
    {
        Path = path;
        _manager = new UnixDomainSocketEndPoint(path.StartsWith('@') ? $"\0{path[1..]}" : path);
    }

    public string Path { get; }

    /// <returns>Null: no manager listens.</returns>
    public static ServiceNotifier? FromEnvironment() => Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is ['/' or '@', _, ..] path ? new ServiceNotifier(path) : null;

    /// <param name="state">Assignments such as <c>READY=1</c>, one a line.</param>
    /// <exception cref="IOException">The manager does not take it.</exception>
    public void Send(string state) => Send(state, []);

    /// <summary>
    /// Gives the manager the descriptors to keep while this process is away (<c>FileDescriptorStoreMax=</c>); the next run gets them from <see cref="ActivatedDescriptors"/>. The manager answers nothing:
    /// it drops what it has no room for, and what it has already.
    /// </summary>
    /// <remarks>
    /// All names come back in one variable, LISTEN_FDNAMES, and a variable of 128 KiB or more keeps the next run from being executed at all (MAX_ARG_STRLEN). With 4096 descriptors, names have 31
    /// characters at most.
    /// </remarks>
    /// <param name="name">At most 255 printable ASCII characters without <c>:</c>; several descriptors may have the same.</param>
    /// <param name="files">At most <see cref="FdSocket.MaxFiles"/>.</param>
    /// <param name="untilHangUp">Whether the manager lets go of one by itself once poll(2) tells an error or hang-up of it.</param>
    /// <exception cref="IOException">The manager does not take them.</exception>
    public void Store(string name, ReadOnlySpan<FileDescriptor> files, bool untilHangUp = false) =>
        Send($"FDSTORE=1\nFDNAME={Checked(name)}{(untilHangUp ? "" : "\nFDPOLL=0")}", files);

    /// <summary>The manager closes every descriptor that it keeps by this name.</summary>
    /// <exception cref="IOException">The manager does not take it.</exception>
    public void Forget(string name) => Send($"FDSTOREREMOVE=1\nFDNAME={Checked(name)}");

    /// <summary>Waits until the manager has acted on all that was sent before (<c>BARRIER=1</c>).</summary>
    /// <returns>False: it has not in this time.</returns>
    /// <exception cref="IOException">The manager does not take it.</exception>
    public unsafe bool Barrier(TimeSpan patience)
    {
        int* ends = stackalloc int[2];
        // SAFETY: the kernel writes the two ints of the local.
        if (Libc.Pipe2(ends, O_CLOEXEC) != 0)
        {
            throw LinuxException.Last("pipe2", "a new pipe");
        }

        using var read = new FileDescriptor(ends[0]);
        using (var write = new FileDescriptor(ends[1]))
        {
            Send("BARRIER=1", [write]);
        }

        // The manager closes its copy, the last one, when it comes to this message.
        return Poll(read, 0, (int)patience.TotalMilliseconds);
    }

    private static string Checked(string name) =>
        name.Length is > 0 and <= 255 && name.All(static c => c is > ' ' and <= '~' and not ':')
            ? name
            : throw new ArgumentException($"'{name}' is no name of a descriptor", nameof(name));

    private void Send(string state, ReadOnlySpan<FileDescriptor> files)
    {
        byte[] message = Encoding.UTF8.GetBytes(state);
        try
        {
            // A new one each time: the manager may have been executed anew since.
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.Connect(_manager);
            while (!FdSocket.TrySend(socket, message, files))
            {
                if (!Poll(socket.SafeHandle, POLLOUT, PatienceMilliseconds))
                {
                    throw new IOException(string.Create(CultureInfo.InvariantCulture, $"the service manager did not take a message from {Path} within {PatienceMilliseconds} ms"));
                }
            }
        }
        catch (SocketException exception)
        {
            throw new IOException($"the service manager does not take messages at {Path}: {exception.Message}", exception);
        }
    }

    /// <summary>Waits for these events, or a hang-up. False: neither came in time.</summary>
    private static unsafe bool Poll(SafeHandle file, short events, int milliseconds)
    {
        using var use = new HandleUse(file);
        var poll = new PollFd { Fd = use.Number, Events = events };
        int ready;
        do
        {
            // SAFETY: one entry, a local.
            ready = Libc.Poll(&poll, 1, milliseconds);
        }
        while (ready < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);
        return ready > 0;
    }
}
