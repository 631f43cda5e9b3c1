// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Client;
using BarBroker.LeaseProbe;

const string usage = """
    usage: leaseprobe churn DEVICE BAR COUNT             acquires, maps, touches and releases so many leases, one after the other
           leaseprobe hold DEVICE BAR SECONDS RANGE...   has a lease with this TTL, and obeys standard input: see Holder
    RANGE is OFFSET+LENGTH, hexadecimal
    """;

try
{
    await using var client = await BrokerClient.ConnectAsync();
    switch (args)
    {
        case ["churn", var device, var bar, var count]:
            return await Churn.RunAsync(client, device, Number(bar), Number(count));
        case ["hold", var device, var bar, var seconds, .. var ranges]:
            await using (var holder = await Holder.AcquireAsync(client, device, Number(bar), TimeSpan.FromSeconds(Number(seconds)), [.. ranges.Select(Range)]))
            {
                await holder.ObeyAsync();
            }

            return 0;
        default:
            Console.Error.WriteLine(usage);
            return 2;
    }
}
catch (Exception exception) when (exception is IOException or BrokerException)
{
    Console.Error.WriteLine($"leaseprobe: {exception.Message}");
    return 1;
}

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

static BarRange Range(string text)
{
    string[] parts = text.Split('+');
    return new BarRange(Convert.ToUInt64(parts[0], 16), Convert.ToUInt64(parts[1], 16));
}
