// SPDX-License-Identifier: Apache-2.0

using BarBroker.VfioProbe;

if (args.Length < 2)
{
    Console.Error.WriteLine(Commands.Usage);
    return 2;
}

using var commands = new Commands(args[0]);
int status = 0;
foreach (string line in args[1..])
{
    // A command that begins with "!" may fail.
    bool mayFail = line.StartsWith('!');
    try
    {
        commands.Run(line.TrimStart('!').Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }
    catch (Exception exception) when (exception is IOException or NotSupportedException or InvalidOperationException or TimeoutException)
    {
        Console.WriteLine($"{line}: failed: {exception.Message}");
        if (!mayFail)
        {
            status = 1;
            break;
        }
    }
}

return status;
