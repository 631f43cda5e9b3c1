// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>The checkout that the tests run in.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "broker.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException($"no broker.sln above {AppContext.BaseDirectory}: run the tests in a checkout");
    }
}
