// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text;
using BarBroker.Linux;
using Microsoft.Win32.SafeHandles;

namespace BarBroker.Hosting;

/// <summary>The directory of the sockets, held by one broker at a time.</summary>
internal sealed class RuntimeDirectory : IDisposable
{
    private const UnixFileMode EverybodyPasses =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly FileStream _lock;

    private RuntimeDirectory(FileStream file) => _lock = file;

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
            // FileShare.None is flock(LOCK_EX | LOCK_NB), and the kernel drops it with the process. The file stays: removing it would let two
            // brokers each lock a file of that name.
            var held = new FileStream(file, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            held.SetLength(0);
            held.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n")));
            return new RuntimeDirectory(held);
        }
        catch (IOException exception)
        {
            throw new StartupException($"The runtime directory {path} is in use: another broker holds {file}{Holder(file)}. Stop that one, or choose another directory with --runtime-dir.", exception);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new StartupException($"The runtime directory {path} cannot be written: {exception.Message} Run as its owner, or choose another one with --runtime-dir.", exception);
        }
    }

    public void Dispose() => _lock.Dispose();

    private static string Holder(string file)
    {
        try
        {
            // FileStream would ask for a lock to read by name.
            using var opened = FileDescriptor.Open(file, writable: false);
            using var handle = new SafeFileHandle(opened.DangerousGetHandle(), ownsHandle: false);
            using var stream = new FileStream(handle, FileAccess.Read);
            using var reader = new StreamReader(stream);
            return int.TryParse(reader.ReadLine(), CultureInfo.InvariantCulture, out int pid) ? $" (process {pid})" : "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
