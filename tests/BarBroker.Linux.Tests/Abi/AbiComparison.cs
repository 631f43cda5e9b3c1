// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using BarBroker.Testing;

namespace BarBroker.Linux.Tests.Abi;

/// <summary>
/// Collects numbers and layouts of this project, then has a C program say what the system's headers make of the same names. What the headers do not know yet is told apart from
/// what differs.
/// </summary>
/// <param name="headers">Those the system does not have are left out, and what is in them counts as unknown.</param>
internal sealed partial class AbiComparison(params string[] headers)
{
    private readonly SortedDictionary<string, long> _expected = new(StringComparer.Ordinal);
    private readonly StringBuilder _body = new();

    /// <summary>Every constant of the class, compared with the macro of the same name.</summary>
    /// <param name="enumerators">Those that are enumerators in C, and in every header: the preprocessor cannot tell whether they are there.</param>
    public AbiComparison Constants(Type constants, params string[] enumerators)
    {
        foreach (var field in constants.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic).Where(field => field.IsLiteral))
        {
            long value = ToNumber(field.GetValue(null)!);
            if (enumerators.Contains(field.Name))
            {
                _expected.Add(field.Name, value);
                Print(field.Name, field.Name);
                continue;
            }

            Constant(field.Name, value);
        }

        return this;
    }

    /// <summary>Every name of the enumeration but those of <paramref name="except"/>, compared with the macro whose name <paramref name="macro"/> makes of it.</summary>
    public AbiComparison Enumeration<T>(Func<string, string> macro, params string[] except) where T : struct, Enum
    {
        foreach (string name in Enum.GetNames<T>().Except(except))
        {
            Constant(macro(name), Convert.ToInt64(Enum.Parse<T>(name), CultureInfo.InvariantCulture));
        }

        return this;
    }

    public AbiComparison Constant(string macro, long value)
    {
        _expected.Add(macro, value);
        _body.AppendLine(CultureInfo.InvariantCulture, $"#ifdef {macro}");
        Print(macro, macro);
        _body.AppendLine("#endif");
        return this;
    }

    /// <summary>The size, and the offset and size of each field, whose C name is the same in snake_case.</summary>
    /// <param name="cType">Such as <c>struct pollfd</c>.</param>
    /// <param name="fields">C names that differ from that, by field name.</param>
    /// <param name="isPrefix">The C struct goes on behind the fields given here: its size is not compared.</param>
    /// <param name="since">The first Linux whose headers have all of it, such as "6.6".</param>
    public unsafe AbiComparison Struct<T>(string cType, Dictionary<string, string>? fields = null, bool isPrefix = false, string since = "2.6") where T : unmanaged
    {
        var version = Version.Parse(since);
        _body.AppendLine(CultureInfo.InvariantCulture, $"#if LINUX_VERSION_CODE >= KERNEL_VERSION({version.Major}, {version.Minor}, 0)");
        if (!isPrefix)
        {
            Add($"sizeof({cType})", sizeof(T));
        }

        foreach (var field in typeof(T).GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            string name = fields?.GetValueOrDefault(field.Name) ?? WordStart().Replace(field.Name, "_$0").ToLowerInvariant();
            Add($"offsetof({cType}, {name})", (long)Marshal.OffsetOf<T>(field.Name));
            Add($"sizeof((({cType} *)0)->{name})", SizeOf(field.FieldType));
        }

        _body.AppendLine("#endif");
        return this;

        void Add(string expression, long value)
        {
            _expected.Add(expression, value);
            Print(expression, expression);
        }
    }

    /// <returns>What differs, and what the headers do not know.</returns>
    public AbiResult Run(string name)
    {
        var (status, output) = NativeProgram.Run(NativeProgram.Compile(Source(), $"abi-{name}"));
        Assert.Equal(0, status);
        var actual = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('\t'))
            .ToDictionary(pair => pair[0], pair => long.Parse(pair[1], CultureInfo.InvariantCulture));
        return new AbiResult(
            _expected.Count,
            [.. _expected.Where(pair => actual.TryGetValue(pair.Key, out long value) && value != pair.Value).Select(pair => $"{pair.Key} is {actual[pair.Key]}, not {pair.Value}")],
            [.. _expected.Keys.Where(key => !actual.ContainsKey(key))]);
    }

    private string Source()
    {
        var source = new StringBuilder("#define _GNU_SOURCE\n#include <stddef.h>\n#include <stdio.h>\n#include <linux/version.h>\n");
        foreach (string header in headers)
        {
            source.Append(CultureInfo.InvariantCulture, $"#if __has_include(<{header}>)\n#include <{header}>\n#endif\n");
        }

        return source.Append("int main(void)\n{\n").Append(_body).Append("return 0;\n}\n").ToString();
    }

    private void Print(string key, string expression) =>
        _body.AppendLine(CultureInfo.InvariantCulture, $"printf(\"%s\\t%lld\\n\", \"{key}\", (long long)({expression}));");

    private static long ToNumber(object value) => value is nint number ? number : value is ulong big ? unchecked((long)big) : Convert.ToInt64(value, CultureInfo.InvariantCulture);

    private static int SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    [GeneratedRegex("(?<!^)[A-Z]")]
    private static partial Regex WordStart();
}
