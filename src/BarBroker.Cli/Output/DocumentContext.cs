// SPDX-License-Identifier: Apache-2.0

using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using BarBroker.Cli.Binding;
using BarBroker.Cli.Diagnosis;

namespace BarBroker.Cli.Output;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(LeaseDocument))]
[JsonSerializable(typeof(LeaseDocument[]))]
[JsonSerializable(typeof(WaitingDocument))]
[JsonSerializable(typeof(WaitingDocument[]))]
[JsonSerializable(typeof(ClientDocument))]
[JsonSerializable(typeof(ClientDocument[]))]
[JsonSerializable(typeof(DeviceDocument))]
[JsonSerializable(typeof(DeviceDocument[]))]
[JsonSerializable(typeof(MapDocument))]
[JsonSerializable(typeof(MapDocument[]))]
[JsonSerializable(typeof(PoolDocument))]
[JsonSerializable(typeof(PoolDocument[]))]
[JsonSerializable(typeof(StatusDocument))]
[JsonSerializable(typeof(TopDocument))]
[JsonSerializable(typeof(EventDocument))]
[JsonSerializable(typeof(HistoryDocument))]
[JsonSerializable(typeof(HistoryDocument[]))]
[JsonSerializable(typeof(ReloadDocument))]
[JsonSerializable(typeof(BindingDocument))]
[JsonSerializable(typeof(BindingDocument[]))]
[JsonSerializable(typeof(PolicyCheckDocument))]
[JsonSerializable(typeof(Finding))]
[JsonSerializable(typeof(Finding[]))]
[JsonSerializable(typeof(ResetPlanDocument))]
internal sealed partial class DocumentContext : JsonSerializerContext
{
    /// <summary>One line a document.</summary>
    public static DocumentContext Lines { get; } = new(OptionsOf(indented: false));

    /// <summary>For people to read, too.</summary>
    public static DocumentContext Indented { get; } = new(OptionsOf(indented: true));

    // The relaxed encoder still escapes control characters; the strict one protects HTML, which this is not.
    private static JsonSerializerOptions OptionsOf(bool indented) => new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = indented,
    };
}
