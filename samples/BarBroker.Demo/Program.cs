// SPDX-License-Identifier: Apache-2.0

using BarBroker.Demo;

// With "worker" first it is one of the demo's clients; else it shows the demo, with a daemon and a barctl of its own.
return args switch
{
    ["worker", .. var rest] => await Worker.RunAsync(rest),
    [var daemon, var barctl] => await Demo.RunAsync(daemon, barctl),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: BarBroker.Demo BARBROKERD BARCTL");
    return 2;
}
