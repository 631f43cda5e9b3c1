// SPDX-License-Identifier: Apache-2.0

using BarBroker.Client;
using BarBroker.Demo;

// With "worker" first it is one of the demo's clients; else it shows the demo, with a daemon and a barctl of its own.
return args switch
{
    ["worker", .. var rest] => await WorkAsync(rest),
    [var daemon, var barctl] => await Demo.RunAsync(daemon, barctl),
    _ => Usage(),
};

static async Task<int> WorkAsync(string[] arguments)
{
    try
    {
        return await Worker.RunAsync(arguments);
    }
    catch (BrokerException exception)
    {
        Console.Error.WriteLine(exception.Message);
        return 1;
    }
}

static int Usage()
{
    Console.Error.WriteLine("usage: BarBroker.Demo BARBROKERD BARCTL");
    return 2;
}
