// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;

namespace BarBroker.Cli.Tests;

internal sealed record BarctlResult(int Status, string Output, string Errors)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public JsonElement Json()
    {
        Assert.True(Status == 0, $"status {Status}: {Errors}");
        using var document = JsonDocument.Parse(Output);
        return document.RootElement.Clone();
    }

    public JsonElement[] JsonLines()
    {
        Assert.True(Status == 0, $"status {Status}: {Errors}");
        return [.. Lines.Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
    }
}
