// SPDX-License-Identifier: Apache-2.0

using BarBroker.Client;

await using var broker = await BrokerClient.ConnectAsync();
await using var lease = await broker.AcquireAsync(LeaseRequest.OfSize("sim0", 64 * 1024));
lease.Lost += (_, lost) => Console.WriteLine($"lost: {lost.Reason}");
using var memory = lease.Buffers[0].Map();
Console.WriteLine($"{lease.Id}: {memory.Length} bytes of {lease.Device}");
for (byte count = 1; count <= 10; count++)
{
    memory.CopyFrom(0, [count]); // Once the lease is over this throws, and nobody's memory is touched.
    lease.Pulse(); // Without it the lease is not renewed: a program that hangs loses it.
    await Task.Delay(TimeSpan.FromSeconds(1));
}
