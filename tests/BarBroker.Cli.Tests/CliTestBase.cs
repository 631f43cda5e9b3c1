// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using BarBroker.Testing;

namespace BarBroker.Cli.Tests;

/// <summary>barctl with a broker that the tests of a class share; each begins without leases, on a device that is ready.</summary>
public abstract class CliTestBase(BrokerFixture fixture) : TestBase, IClassFixture<BrokerFixture>
{
    private protected BrokerProcess Broker => fixture.Broker;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await Wait.Until(async () => (await LeasesAsync()).Length == 0, "the leases of the test before have ended");
        await RunAsync("device", "uncordon", "sim0");
    }

    private protected Task<BarctlResult> RunAsync(params string[] arguments) => Barctl.RunAsync(Broker.RuntimeDirectory, arguments);

    private protected Barctl Start(params string[] arguments) => Own(Barctl.Start(Broker.RuntimeDirectory, arguments));

    /// <summary>Starts a holder of a lease and waits until it holds it; returns its document.</summary>
    private protected async Task<(Barctl Holder, JsonElement Lease)> HoldAsync(params string[] arguments)
    {
        var before = await LeasesAsync();
        var holder = Start(["lease", "acquire", "-d", "sim0", .. arguments]);
        JsonElement lease = default;
        await Wait.Until(
            async () =>
            {
                lease = (await LeasesAsync()).FirstOrDefault(candidate => before.All(old => Id(old) != Id(candidate)) && Text(candidate, "state") == "active");
                return lease.ValueKind != JsonValueKind.Undefined;
            },
            "barctl lease acquire holds a lease");
        return (holder, lease);
    }

    private protected async Task<JsonElement[]> LeasesAsync(params string[] arguments) => (await RunAsync(["-o", "jsonl", "lease", "list", .. arguments])).JsonLines();

    private protected async Task<JsonElement> LeaseAsync(string id) => (await RunAsync("-o", "json", "lease", "show", id)).Json();

    private protected Task WaitForStateAsync(string id, string state) => Wait.Until(async () => Text(await LeaseAsync(id), "state") == state, $"lease {id} is {state}");

    private protected static string Id(JsonElement lease) => Text(lease, "id")!;

    private protected static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}
