// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

/// <summary>Signals are the program's business: they must end leases before the web host stops.</summary>
internal sealed class NoLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
