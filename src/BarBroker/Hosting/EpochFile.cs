// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux;

namespace BarBroker.Hosting;

/// <summary>The file that remembers which epochs may have been used. Replaced as a whole, so that it is the old one or the new one after a crash.</summary>
internal sealed class EpochFile(string stateDirectory)
{
    private const string Title = "barbroker epochs 1";
    private const int LargestFile = 4096;

    private readonly string _path = Path.Combine(stateDirectory, "epochs");

    /// <summary>The first epoch that was never reserved; 1 if there is no file, which is how a new state directory begins.</summary>
    /// <exception cref="StartupException">The file is there and not to be believed.</exception>
    public ulong Read()
    {
        try
        {
            var file = new FileInfo(_path);
            if (!file.Exists)
            {
                return 1;
            }

            string[] lines = file.Length <= LargestFile ? File.ReadAllText(_path).Split('\n') : [];
            if (lines is [Title, var number, var again, ""]
                && ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out ulong next)
                && ulong.TryParse(again, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong same)
                && next == same
                && next is > 0 and < ulong.MaxValue / 2)
            {
                return next;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"{_path} cannot be read: {exception.Message}", exception);
        }

        throw new StartupException(
            $"{_path} is damaged. It keeps lease ids and epochs from being used twice, so the broker does not guess. Restore it, or, if nothing compares "
            + "epochs with those of leases from before, remove it: they then begin at 1 again.");
    }

    /// <summary>Returns when the number is on the disk.</summary>
    /// <exception cref="IOException">It may or may not be.</exception>
    public void Write(ulong next)
    {
        // Twice, in two spellings: whatever changes one of them shows.
        string text = string.Create(CultureInfo.InvariantCulture, $"{Title}\n{next}\n{next:x}\n");
        AtomicFile.Replace(_path, text, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }
}
