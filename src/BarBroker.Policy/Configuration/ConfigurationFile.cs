// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>Reads a configuration file, all or nothing.</summary>
internal static class ConfigurationFile
{
    public const string DefaultPath = "/etc/barbroker/broker.json";

    private const int LargestFile = 4 << 20;

    /// <param name="runtimeDirectory">Where the sockets shall be instead of where the file says, and, unless it says so, the state below it. Absolute, or null.</param>
    /// <exception cref="ConfigurationException">Everything that is wrong.</exception>
    public static BrokerOptions Load(string path, string? runtimeDirectory)
    {
        var faults = new ConfigurationFaults();
        byte[] text = [];
        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > LargestFile)
            {
                faults.Add("", 0, "is larger than 4 MiB; no configuration is");
            }
            else
            {
                text = new byte[file.Length];
                file.ReadExactly(text);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            faults.Add("", 0, $"cannot be read: {exception.Message} Create it, or name another file.");
        }

        faults.ThrowIfAny(path);
        return Parse(text, path, runtimeDirectory, faults);
    }

    /// <summary>As <see cref="Load"/>, from text.</summary>
    public static BrokerOptions Parse(ReadOnlySpan<byte> text, string path, string? runtimeDirectory, ConfigurationFaults faults)
    {
        var root = ConfigParser.Parse(text, faults);
        if (root is null)
        {
            faults.ThrowIfAny(path);
        }

        var options = BrokerOptionsReader.Read(root!, faults, runtimeDirectory);
        faults.ThrowIfAny(path);
        return options;
    }
}
