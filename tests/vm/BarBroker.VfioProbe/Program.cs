// SPDX-License-Identifier: Apache-2.0

using BarBroker.VfioProbe;

if (args.Length < 2)
{
    Console.Error.WriteLine(Commands.Usage);
    return 2;
}

using var commands = new Commands(args[0]);
foreach (string line in args[1..])
{
    try
    {
        commands.Run(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }
    catch (Exception exception) when (exception is IOException or NotSupportedException or InvalidOperationException or TimeoutException)
    {
        Console.WriteLine($"{line}: failed: {exception.Message}");
        return 1;
    }
}

return 0;
