// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>One broker for the tests of a class; each test cleans up its leases.</summary>
public sealed class BrokerFixture : IAsyncLifetime
{
    public BrokerProcess Broker { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Broker = await BrokerProcess.StartAsync();

    public ValueTask DisposeAsync() => Broker.DisposeAsync();
}
