// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Linux;

namespace BarBroker.Devices.Simulated;

/// <summary>
/// What a faults file says, one fault a line; empty lines and lines that begin with <c>#</c> say nothing. An absent file has no faults.
/// <code>
/// revoke fail EIO
/// revoke slow 500ms
/// export stuck
/// vanish
/// request
/// error
/// </code>
/// The operations are open, close, export, revoke, reset and scrub. A slow operation does its work after the delay (ms, s or m). A
/// stuck one does it when the line is gone. After <c>vanish</c> everything but close fails with ENODEV until the line is gone: closing the file of an unplugged
/// device works, too. With <c>request</c> the device is asked for as by an unbind: it works on, and cannot be opened until the line is gone. <c>error</c> is reported
/// once, when the line appears while the device is open. See <see cref="DeviceSignal"/>.
/// </summary>
internal sealed class SimulatedFaults
{
    private readonly Dictionary<SimulatedOperation, SimulatedFault> _faults = [];

    private SimulatedFaults()
    {
    }

    public static SimulatedFaults None { get; } = new();

    public bool IsVanished { get; private set; }

    public bool IsRequested { get; private set; }

    public bool HasError { get; private set; }

    public SimulatedFault this[SimulatedOperation operation] => _faults.GetValueOrDefault(operation);

    /// <exception cref="IOException">A line that is not understood; or the file cannot be read.</exception>
    public static SimulatedFaults Read(string path)
    {
        try
        {
            return Parse(path, File.ReadAllLines(path));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return None;
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException($"faults file {path} cannot be read: {exception.Message}", exception);
        }
    }

    /// <param name="path">For messages.</param>
    /// <exception cref="IOException">A line that is not understood.</exception>
    public static SimulatedFaults Parse(string path, IReadOnlyList<string> lines)
    {
        var faults = new SimulatedFaults();
        for (int i = 0; i < lines.Count; i++)
        {
            var words = lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (words.Length > 0 && words[0][0] != '#' && !faults.TryAdd(words))
            {
                throw new IOException(
                    $"faults file {path}, line {i + 1}: \"{lines[i]}\" is not a fault; write \"OPERATION fail ERRNO\", \"OPERATION slow TIME\", \"OPERATION stuck\", "
                    + "\"vanish\", \"request\" or \"error\", where OPERATION is open, close, export, revoke, reset or scrub, ERRNO such as EIO, TIME such as 500ms");
            }
        }

        return faults;
    }

    private bool TryAdd(string[] words)
    {
        switch (words)
        {
            case ["vanish"]:
                return IsVanished = true;
            case ["request"]:
                return IsRequested = true;
            case ["error"]:
                return HasError = true;
        }

        if (words.Length < 2 || !TryParseOperation(words[0], out var operation))
        {
            return false;
        }

        var fault = this[operation];
        switch (words[1..])
        {
            case ["stuck"]:
                _faults[operation] = fault with { IsStuck = true };
                return true;
            case ["slow", var time] when TryParseTime(time, out var delay):
                _faults[operation] = fault with { Delay = delay };
                return true;
            case ["fail", var name] when name.StartsWith('E') && Enum.TryParse(name, out Errno errno):
                _faults[operation] = fault with { Errno = errno };
                return true;
            default:
                return false;
        }
    }

    private static bool TryParseOperation(string word, out SimulatedOperation operation)
    {
        SimulatedOperation? found = word switch
        {
            "open" => SimulatedOperation.Open,
            "close" => SimulatedOperation.Close,
            "export" => SimulatedOperation.Export,
            "revoke" => SimulatedOperation.Revoke,
            "reset" => SimulatedOperation.Reset,
            "scrub" => SimulatedOperation.Scrub,
            _ => null,
        };
        operation = found.GetValueOrDefault();
        return found is not null;
    }

    private static bool TryParseTime(string word, out TimeSpan time)
    {
        var (digits, milliseconds) = word switch
        {
            [.. var number, 'm', 's'] => (number, 1),
            [.. var number, 's'] => (number, 1000),
            [.. var number, 'm'] => (number, 60_000),
            _ => ("", 0),
        };
        bool isNumber = ushort.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ushort count);
        time = TimeSpan.FromMilliseconds((long)count * milliseconds);
        return isNumber;
    }
}
