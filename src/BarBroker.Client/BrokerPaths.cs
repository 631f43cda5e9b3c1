// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Client;

/// <summary>Where a broker's sockets are.</summary>
public static class BrokerPaths
{
    /// <summary>Names another runtime directory than <see cref="SystemRuntimeDirectory"/>.</summary>
    public const string RuntimeDirectoryVariable = "BARBROKER_RUNTIME_DIR";

    /// <summary>The runtime directory of the system's broker.</summary>
    public const string SystemRuntimeDirectory = "/run/barbroker";

    /// <summary>What was given, else <c>$BARBROKER_RUNTIME_DIR</c>, else <c>/run/barbroker</c>.</summary>
    public static string RuntimeDirectory(string? given = null)
    {
        if (!string.IsNullOrEmpty(given))
        {
            return given;
        }

        string? variable = Environment.GetEnvironmentVariable(RuntimeDirectoryVariable);
        return string.IsNullOrEmpty(variable) ? SystemRuntimeDirectory : variable;
    }

    /// <summary>gRPC for clients.</summary>
    public static string ClientSocket(string runtimeDirectory) => Path.Combine(runtimeDirectory, "broker.sock");

    /// <summary>The packet socket that hands fds over.</summary>
    public static string FdSocket(string runtimeDirectory) => Path.Combine(runtimeDirectory, "fd.sock");

    /// <summary>gRPC for operators.</summary>
    public static string OperatorSocket(string runtimeDirectory) => Path.Combine(runtimeDirectory, "admin.sock");
}
