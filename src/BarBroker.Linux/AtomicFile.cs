// SPDX-License-Identifier: Apache-2.0

using System.Text;

namespace BarBroker.Linux;

/// <summary>Files that are replaced as a whole, so that after a crash they are the old ones or the new ones.</summary>
public static class AtomicFile
{
    /// <summary>Returns when the text is on the disk.</summary>
    /// <exception cref="IOException">It may or may not be.</exception>
    public static void Replace(string path, string text, UnixFileMode mode)
    {
        string temporary = path + ".new";
        // One that was left behind may have another mode.
        File.Delete(temporary);
        using (var file = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode }))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        // Without it the rename itself may be lost by a power failure (fsync(2)).
        using var directory = FileDescriptor.Open(Path.GetDirectoryName(path)!, writable: false);
        directory.Sync();
    }
}
