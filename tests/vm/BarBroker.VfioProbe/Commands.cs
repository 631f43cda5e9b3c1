// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Devices;
using BarBroker.Devices.Vfio;
using BarBroker.Linux;

namespace BarBroker.VfioProbe;

/// <summary>What the probe can be told to do, one after the other; each prints a line that a script can look for.</summary>
internal sealed class Commands : IDisposable
{
    public const string Usage = """
        usage: vfioprobe ADDRESS[,ADDRESS] COMMAND...
        commands, each one argument, which may fail if it begins with "!"; all but the first two are about the first device:
          open [N] | close [N]             (N: which of the devices, from 0)
          describe
          export BAR OFFSET+LENGTH...      hexadecimal; prints the number of the buffer
          buffers                          what the kernel tells of each buffer
          revoke N
          reset
          lost                             waits for the device to be lost
          hold | let-go                    keeps a second descriptor of each device file, as a forked child would
          say WORD                         prints it
          wait                             for a line on standard input
        """;

    private readonly VfioDevice[] _devices;
    private readonly List<ExportedBuffer> _buffers = [];
    private readonly List<FileDescriptor> _held = [];
    private readonly ManualResetEventSlim _lost = new();
    private volatile string _reason = "";

    public Commands(string addresses)
    {
        _devices = [.. addresses.Split(',').Select(static address => new VfioDevice(new VfioDeviceOptions(address, address)))];
        _devices[0].Signaled += (_, reason) =>
        {
            _reason = reason;
            _lost.Set();
        };
    }

    public void Run(string[] words)
    {
        var device = _devices[0];
        switch (words[0])
        {
            case "open":
                Chosen(words).Open();
                Console.WriteLine($"open {Chosen(words).Name}");
                break;
            case "close":
                Chosen(words).Close();
                Console.WriteLine($"closed {Chosen(words).Name}");
                break;
            case "describe":
                Describe(device.Description!);
                break;
            case "export":
                _buffers.Add(device.Export(Number(words[1]), [.. words[2..].Select(Range)], BufferAccess.ReadWrite, MemoryAttribute.NonCached));
                Console.WriteLine($"buffer {_buffers.Count - 1}");
                break;
            case "buffers":
                _buffers.ForEach(Show);
                break;
            case "revoke":
                device.Revoke(_buffers[Number(words[1])]);
                Console.WriteLine($"revoked {words[1]}");
                break;
            case "reset":
                device.Reset();
                Console.WriteLine("reset");
                break;
            case "lost":
                Console.WriteLine(_lost.Wait(TimeSpan.FromSeconds(30)) ? $"lost: {_reason}" : throw new TimeoutException("waited 30 s for the loss of the device"));
                break;
            case "hold":
                Hold();
                break;
            case "let-go":
                _held.ForEach(static file => file.Dispose());
                _held.Clear();
                break;
            case "say":
                Console.WriteLine(words[1]);
                break;
            case "wait":
                Console.ReadLine();
                break;
            default:
                throw new NotSupportedException(Usage);
        }
    }

    public void Dispose()
    {
        _buffers.ForEach(static buffer => buffer.Dispose());
        foreach (var device in _devices)
        {
            device.Dispose();
        }

        _lost.Dispose();
    }

    private void Hold()
    {
        foreach (var entry in new DirectoryInfo("/proc/self/fd").GetFiles())
        {
            if (entry.LinkTarget is { } target && (target == "anon_inode:[vfio-device]" || target.Contains("vfio/devices/", StringComparison.Ordinal)))
            {
                using var borrowed = new FileDescriptor(Number(entry.Name));
                _held.Add(borrowed.Duplicate());
                borrowed.SetHandleAsInvalid();
            }
        }

        Console.WriteLine($"holding {_held.Count}");
    }

    private VfioDevice Chosen(string[] words) => _devices[words.Length > 1 ? Number(words[1]) : 0];

    private static void Describe(DeviceDescription description)
    {
        Console.WriteLine($"kind={description.Kind} address={description.Address} domain={description.Domain} reset={description.CanReset}");
        Console.WriteLine($"bars={string.Join(',', description.Bars.Select(static bar => $"{bar.Index}:0x{bar.Size:x}"))} page={description.PageSize}");
        Console.WriteLine($"attributes={string.Join(',', description.MemoryAttributes)} accesses={string.Join(',', description.Accesses)}");
        Console.WriteLine($"detail={description.Detail}");
    }

    private static void Show(ExportedBuffer buffer)
    {
        var info = File.ReadLines($"/proc/self/fdinfo/{buffer.Handle.Number}")
            .Where(static line => line.StartsWith("exp_name", StringComparison.Ordinal) || line.StartsWith("size", StringComparison.Ordinal) || line.StartsWith("flags", StringComparison.Ordinal))
            .Select(static line => line.Replace('\t', ' '));
        Console.WriteLine($"bar={buffer.Bar} ranges={string.Join(',', buffer.Ranges)} seek={buffer.Handle.GetSize()} {string.Join(' ', info)}");
    }

    private static BarRange Range(string text)
    {
        string[] parts = text.Split('+');
        return new BarRange(Hex(parts[0]), Hex(parts[1]));
    }

    private static ulong Hex(string text) => ulong.Parse(text.AsSpan(text.StartsWith("0x", StringComparison.Ordinal) ? 2 : 0), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
