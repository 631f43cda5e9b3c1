// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using BarBroker.Client;
using BarBroker.LeaseProbe;

const string usage = """
    usage: leaseprobe churn DEVICE BAR COUNT             acquires, maps, touches and releases so many leases, one after the other
           leaseprobe hold DEVICE BAR SECONDS RANGE...   has a lease with this TTL, and obeys standard input: see Holder
           leaseprobe work DEVICE BYTES OPTION...        works in a lease of that size as the client library wants it: see Worker
           leaseprobe fleet DEVICE BAR COUNT BYTES TTL   works in so many leases at a time, with this TTL in seconds: see Fleet
           leaseprobe slot POOL [SLOT]                   takes a slot, says what is in it, fills it with other bytes and gives it back
           leaseprobe health                             what a load balancer and a probe are told; ends with 0 if all say that the broker serves
    OPTION is ttl=, hang=, wait= (seconds), priority=, bar= or recall=acknowledge|release; RANGE is OFFSET+LENGTH, hexadecimal
    """;

if (args is ["health"])
{
    return await Health.RunAsync();
}

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
        case ["work", var device, var bytes, .. var options]:
            return await Worker.RunAsync(client, device, ulong.Parse(bytes, CultureInfo.InvariantCulture), options);
        case ["fleet", var device, var bar, var count, var bytes, var ttl]:
            return await Fleet.RunAsync(client, device, Number(bar), Number(count), ulong.Parse(bytes, CultureInfo.InvariantCulture), TimeSpan.FromSeconds(Number(ttl)));
        case ["slot", var pool]:
            return await Slot.RunAsync(client, pool, null);
        case ["slot", var pool, var slot]:
            return await Slot.RunAsync(client, pool, Number(slot));
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
