// SPDX-License-Identifier: Apache-2.0

using BarBroker.Testing;

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>Which daemon is tested: the published one, which users get, or else the one that was built last.</summary>
internal static class BrokerProgram
{
    private static readonly string Published = At("artifacts", "publish", "barbrokerd", "barbrokerd");

    public static bool IsPublished { get; } = File.Exists(Published);

    public static string Path { get; } = IsPublished ? Published : Built("BarBroker", "barbrokerd");

    public static string Description => IsPublished ? $"{Path} (published, Native AOT)" : $"{Path} (built, JIT; scripts/publish makes the one that users get)";

    /// <summary>Another program of the project: as published, or else as it was built last.</summary>
    public static string Find(string project, string name) => FindPublished(name) ?? Built(project, name);

    /// <summary>Null: not published.</summary>
    public static string? FindPublished(string name) => At("artifacts", "publish", name, name) is var path && File.Exists(path) ? path : null;

    private static string At(params string[] parts) => System.IO.Path.Combine([Repository.Root, .. parts]);

    private static string Built(string project, string name)
    {
        string[] candidates = [At("artifacts", "bin", project, "release", name), At("artifacts", "bin", project, "debug", name)];
        return candidates.Where(File.Exists).MaxBy(File.GetLastWriteTimeUtc)
            ?? throw new InvalidOperationException($"no {name} to test: neither {At("artifacts", "publish", name)} nor {string.Join(" nor ", candidates)}; run scripts/publish or dotnet build {project}");
    }
}
