// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>A directory of its own, with a path short enough for sockets (108 bytes, unix(7)); deleted in the end.</summary>
public sealed class TestDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("bb-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
