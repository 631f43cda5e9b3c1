// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Globalization;
using System.Text;
using BarBroker.Linux;
using BarBroker.Linux.Processes;
using Microsoft.Win32.SafeHandles;

namespace BarBroker.Hosting;

/// <summary>The directory of the sockets, held by one broker at a time.</summary>
internal sealed class RuntimeDirectory : IDisposable
{
    private const UnixFileMode EverybodyPasses =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private static readonly TimeSpan _turnPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan _deathPatience = TimeSpan.FromSeconds(1);

    private readonly FileStream _lock;

    private RuntimeDirectory(FileStream file, int? predecessor = null)
    {
        _lock = file;
        Predecessor = predecessor;
    }

    /// <summary>The broker that had the directory before and is not quite over: killed, and kept by the kernel. It holds its files, and so its devices, until that lets go. Null: none.</summary>
    public int? Predecessor { get; }

    /// <summary>Makes the directory where it is missing, and takes its lock.</summary>
    /// <exception cref="StartupException">Another broker has it, or it cannot be used.</exception>
    public static RuntimeDirectory Take(string path)
    {
        string file = Path.Combine(path, "lock");
        try
        {
            if ((Directory.CreateDirectory(path, EverybodyPasses).UnixFileMode & UnixFileMode.OtherWrite) != 0)
            {
                throw new StartupException($"Everybody may write the runtime directory {path}, and so put sockets of their own in the place of the broker's. Take the right away (chmod o-w), or choose another one with --runtime-dir.");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"The runtime directory {path} cannot be made: {exception.Message} Run as root, or choose another one with --runtime-dir.", exception);
        }

        try
        {
            // One at a time, so that nobody locks a file that is just being replaced.
            using var turn = TakeTurn($"{file}.turn");
            return Lock(file);
        }
        catch (IOException exception)
        {
            string holder = Holder(file) is { } pid ? $" (process {pid})" : "";
            throw new StartupException($"The runtime directory {path} is in use: another broker holds {file}{holder}. Stop that one, or choose another directory with --runtime-dir.", exception);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new StartupException($"The runtime directory {path} cannot be written: {exception.Message} Run as its owner, or choose another one with --runtime-dir.", exception);
        }
    }

    public void Dispose() => _lock.Dispose();

    /// <remarks>
    /// The kernel drops the lock with the last thread of the process that has it. The file stays: removing it would let two brokers each lock a file of that name. Only where its holder
    /// is killed, and a thread of it is kept by the kernel, another file takes its place: that process runs no code any more, so it does nothing with the directory.
    /// </remarks>
    private static RuntimeDirectory Lock(string file)
    {
        var since = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return new RuntimeDirectory(Write(Open(file)));
            }
            catch (IOException) when (Holder(file) is { } predecessor && since.Elapsed < (ProcessEnd.HasBegun(predecessor) ? _turnPatience : _deathPatience))
            {
                // One that has been told to stop mostly goes in a moment, and the lock with it.
                if (since.Elapsed > _deathPatience && ProcessEnd.IsEnding(predecessor))
                {
                    return Replace(file, predecessor);
                }

                Thread.Sleep(10);
            }
        }
    }

    private static RuntimeDirectory Replace(string file, int predecessor)
    {
        string next = $"{file}.next";
        var held = Write(Open(next));
        File.Move(next, file, overwrite: true);
        return new RuntimeDirectory(held, predecessor);
    }

    /// <summary>FileShare.None is flock(LOCK_EX | LOCK_NB).</summary>
    private static FileStream Open(string file) => new(file, new FileStreamOptions
    {
        Mode = FileMode.OpenOrCreate,
        Access = FileAccess.ReadWrite,
        Share = FileShare.None,
        BufferSize = 0,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    });

    private static FileStream Write(FileStream file)
    {
        file.SetLength(0);
        file.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n")));
        return file;
    }

    /// <summary>Whoever has it gives it back in a moment.</summary>
    private static FileStream TakeTurn(string file)
    {
        var since = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return Open(file);
            }
            catch (IOException) when (since.Elapsed < _turnPatience)
            {
                Thread.Sleep(10);
            }
        }
    }

    private static int? Holder(string file)
    {
        try
        {
            // FileStream would ask for a lock to read by name.
            using var opened = FileDescriptor.Open(file, writable: false);
            using var handle = new SafeFileHandle(opened.DangerousGetHandle(), ownsHandle: false);
            using var stream = new FileStream(handle, FileAccess.Read);
            using var reader = new StreamReader(stream);
            return int.TryParse(reader.ReadLine(), CultureInfo.InvariantCulture, out int pid) ? pid : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
