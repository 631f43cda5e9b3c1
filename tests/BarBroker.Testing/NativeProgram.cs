// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace BarBroker.Testing;

/// <summary>C programs that tests need, compiled by the system's gcc when their text is new.</summary>
public static class NativeProgram
{
    private static readonly Lock Compiling = new();

    /// <summary>Compiles a file of tests/native; returns the path of the program.</summary>
    public static string Build(string fileName) => Compile(File.ReadAllText(Path.Combine(Repository.Root, "tests", "native", fileName)), Path.GetFileNameWithoutExtension(fileName));

    /// <summary>Compiles a text; returns the path of the program.</summary>
    /// <exception cref="InvalidOperationException">gcc is not installed, or refuses the text.</exception>
    public static string Compile(string source, string name)
    {
        string hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(source)))[..16];
        string program = Path.Combine(AppContext.BaseDirectory, "native", $"{name}-{hash}");
        lock (Compiling)
        {
            if (!File.Exists(program))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(program)!);
                File.WriteAllText($"{program}.c", source);
                var (status, output) = Run("gcc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", $"{program}.new", $"{program}.c");
                if (status != 0)
                {
                    throw new InvalidOperationException($"gcc refused {name}:\n{output}");
                }

                File.Move($"{program}.new", program, overwrite: true);
            }
        }

        return program;
    }

    /// <summary>Runs a program to its end; returns its exit status and all that it wrote.</summary>
    public static (int Status, string Output) Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        // Disposing the process closes no reader that was asked for.
        using var output = process.StandardOutput;
        using var errors = process.StandardError;
        var errorText = errors.ReadToEndAsync();
        string text = output.ReadToEnd() + errorText.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, text);
    }
}
