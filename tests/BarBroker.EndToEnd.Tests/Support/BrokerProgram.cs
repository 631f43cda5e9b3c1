// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>Which daemon is tested: the published one, which users get, or else the one that was built last.</summary>
internal static class BrokerProgram
{
    private static readonly string Published = At("artifacts", "publish", "barbrokerd", "barbrokerd");

    public static bool IsPublished { get; } = File.Exists(Published);

    public static string Path { get; } = IsPublished ? Published : Built();

    public static string Description => IsPublished ? $"{Path} (published, Native AOT)" : $"{Path} (built, JIT; scripts/publish makes the one that users get)";

    /// <summary>Null: not published.</summary>
    public static string? FindPublished(string name) => At("artifacts", "publish", name, name) is var path && File.Exists(path) ? path : null;

    private static string At(params string[] parts) => System.IO.Path.Combine([Repository.Root, .. parts]);

    private static string Built()
    {
        string[] candidates = [At("artifacts", "bin", "BarBroker", "release", "barbrokerd"), At("artifacts", "bin", "BarBroker", "debug", "barbrokerd")];
        return candidates.Where(File.Exists).MaxBy(File.GetLastWriteTimeUtc)
            ?? throw new InvalidOperationException($"no daemon to test: neither {Published} nor {string.Join(" nor ", candidates)}; run scripts/publish or dotnet build src/BarBroker");
    }
}
