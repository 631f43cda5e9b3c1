// SPDX-License-Identifier: Apache-2.0

using Google.Protobuf;

namespace BarBroker.Client.Tests.Tracing;

/// <summary>A span as it came over the wire (opentelemetry/proto/trace/v1/trace.proto); ids as hex digits.</summary>
/// <param name="Parent">Empty: it has none.</param>
/// <param name="Failure">What its status says; empty unless it failed.</param>
internal sealed record OtlpSpan(
    string Service, string TraceId, string Id, string Parent, string Name, IReadOnlyDictionary<string, string> Tags, IReadOnlyList<string> Events, IReadOnlyList<string> LinkedTraces, string Failure)
{
    /// <summary>The spans of an ExportTraceServiceRequest.</summary>
    public static IEnumerable<OtlpSpan> Decode(ByteString request) =>
        from resourceSpans in All(request, 1)
        let service = All(resourceSpans, 1).SelectMany(static resource => Attributes(resource, 1)).ToDictionary().GetValueOrDefault("service.name", "")
        from scopeSpans in All(resourceSpans, 2)
        from span in All(scopeSpans, 2)
        select Of(service, span);

    private static OtlpSpan Of(string service, ByteString span) => new(
        service,
        Hex(span, 1),
        Hex(span, 2),
        Hex(span, 4),
        Text(span, 5),
        Attributes(span, 9).ToDictionary(),
        [.. All(span, 11).Select(static happened => Text(happened, 2))],
        [.. All(span, 13).Select(static link => Hex(link, 1))],
        All(span, 15).Select(static status => Text(status, 2)).FirstOrDefault(""));

    private static IEnumerable<(string Key, string Value)> Attributes(ByteString message, int field) =>
        All(message, field).Select(static attribute => (Text(attribute, 1), All(attribute, 2).Select(static value => Text(value, 1)).FirstOrDefault("")));

    private static string Hex(ByteString message, int field) => Convert.ToHexStringLower(All(message, field).FirstOrDefault(ByteString.Empty).Span);

    private static string Text(ByteString message, int field) => All(message, field).FirstOrDefault(ByteString.Empty).ToStringUtf8();

    /// <summary>What has a length (strings, bytes, messages) of one number.</summary>
    private static List<ByteString> All(ByteString message, int field)
    {
        var found = new List<ByteString>();
        var input = message.CreateCodedInput();
        while (input.ReadTag() is > 0 and var tag)
        {
            if (WireFormat.GetTagWireType(tag) == WireFormat.WireType.LengthDelimited && WireFormat.GetTagFieldNumber(tag) == field)
            {
                found.Add(input.ReadBytes());
            }
            else
            {
                input.SkipLastField();
            }
        }

        return found;
    }
}
