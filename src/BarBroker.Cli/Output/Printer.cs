// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using BarBroker.Cli.Binding;
using BarBroker.Cli.Diagnosis;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>Writes results in the format that was asked for.</summary>
internal sealed class Printer(OutputFormat format)
{
    private readonly Lazy<IAnsiConsole> _screen = new(Screen.Create);
    private readonly List<LeaseDocument> _held = [];

    public void Leases(IEnumerable<V1.Lease> leases) =>
        List([.. leases.Select(LeaseDocument.From)], context => context.LeaseDocument, context => context.LeaseDocumentArray, Tables.Leases);

    public void Lease(V1.Lease lease) => One(LeaseDocument.From(lease), context => context.LeaseDocument, Tables.Lease);

    public void Waiting(IEnumerable<V1.Waiting> waiting) =>
        List([.. waiting.Select(WaitingDocument.From)], context => context.WaitingDocument, context => context.WaitingDocumentArray, Tables.Waiting);

    public void Devices(IEnumerable<V1.Device> devices) =>
        List([.. devices.Select(DeviceDocument.From)], context => context.DeviceDocument, context => context.DeviceDocumentArray, Tables.Devices);

    public void Device(V1.Device device, IEnumerable<V1.Segment>? segments = null) =>
        One(DeviceDocument.From(device) with { Segments = segments?.Select(SegmentDocument.From).ToArray() }, context => context.DeviceDocument, Tables.Device);

    public void Pools(IEnumerable<V1.Pool> pools) =>
        List([.. pools.Select(PoolDocument.From)], context => context.PoolDocument, context => context.PoolDocumentArray, PoolTables.Pools);

    public void Pool(V1.Pool pool) => One(PoolDocument.From(pool), context => context.PoolDocument, PoolTables.Pool);

    public void Status(V1.GetStatusResponse status) => One(StatusDocument.From(status), context => context.StatusDocument, Tables.Status);

    public void Reload(ReloadDocument reload) => One(reload, context => context.ReloadDocument, PolicyTables.Reload);

    public void PolicyCheck(PolicyCheckDocument check) => One(check, context => context.PolicyCheckDocument, PolicyTables.Check);

    public void Findings(Finding[] findings) => List(findings, context => context.Finding, context => context.FindingArray, FindingTables.Write);

    public void ResetPlan(ResetPlanDocument plan) => One(plan, context => context.ResetPlanDocument, Tables.ResetPlan);

    /// <summary>Leases of a drain as they come to their end, and how far it is where somebody looks at a terminal.</summary>
    public async Task DrainAsync(string device, IAsyncEnumerable<V1.DrainDeviceResponse> responses)
    {
        if (format == OutputFormat.Table && Screen.IsLive)
        {
            await DrainView.RunAsync(_screen.Value, device, responses, Ended);
            return;
        }

        await foreach (var response in responses)
        {
            if (response.Lease is { } lease)
            {
                Ended(lease);
            }
        }
    }

    /// <summary>One event, at once; a stream has no end, so that JSON is one document a line in both formats.</summary>
    public void Event(EventDocument document)
    {
        if (format == OutputFormat.Table)
        {
            Tables.Event(_screen.Value, document);
        }
        else
        {
            Line(document, DocumentContext.Lines.EventDocument);
        }
    }

    /// <summary>One of several leases that come to their end, at once; as one JSON document they are written by <see cref="Flush"/>.</summary>
    public void Ended(V1.Lease lease)
    {
        var document = LeaseDocument.From(lease);
        switch (format)
        {
            case OutputFormat.Table:
                _screen.Value.WriteLine(Words.Printable(Tables.LeaseLine(document)));
                break;
            case OutputFormat.Jsonl:
                Line(document, DocumentContext.Lines.LeaseDocument);
                break;
            default:
                _held.Add(document);
                break;
        }
    }

    /// <summary>A line of JSON each as it comes; else all together.</summary>
    public async Task HistoryAsync(IAsyncEnumerable<V1.HistoryResponse> entries)
    {
        var documents = new List<HistoryDocument>();
        await foreach (var entry in entries)
        {
            var document = HistoryDocument.From(entry.Event);
            if (format == OutputFormat.Jsonl)
            {
                Line(document, DocumentContext.Lines.HistoryDocument);
            }
            else
            {
                documents.Add(document);
            }
        }

        if (format != OutputFormat.Jsonl)
        {
            List([.. documents], context => context.HistoryDocument, context => context.HistoryDocumentArray, HistoryTable.Write);
        }
    }

    /// <summary>Each as it comes, except as one JSON document. Of what was refused the table says nothing; that is an error's place.</summary>
    public void Bindings(IEnumerable<BindingDocument> documents)
    {
        if (format == OutputFormat.Json)
        {
            Line([.. documents], DocumentContext.Indented.BindingDocumentArray);
            return;
        }

        foreach (var document in documents)
        {
            if (format == OutputFormat.Jsonl)
            {
                Line(document, DocumentContext.Lines.BindingDocument);
            }
            else if (document.Errors.Count == 0)
            {
                _screen.Value.WriteLine(Words.Printable(document.Line()));
            }
        }
    }

    public void Flush()
    {
        if (format == OutputFormat.Json)
        {
            Line([.. _held], DocumentContext.Indented.LeaseDocumentArray);
        }
    }

    private void One<T>(T document, Func<DocumentContext, JsonTypeInfo<T>> type, Action<IAnsiConsole, T> table)
    {
        if (format == OutputFormat.Table)
        {
            table(_screen.Value, document);
        }
        else
        {
            Line(document, type(format == OutputFormat.Json ? DocumentContext.Indented : DocumentContext.Lines));
        }
    }

    private void List<T>(T[] documents, Func<DocumentContext, JsonTypeInfo<T>> one, Func<DocumentContext, JsonTypeInfo<T[]>> many, Action<IAnsiConsole, IReadOnlyCollection<T>> table)
    {
        switch (format)
        {
            case OutputFormat.Table:
                table(_screen.Value, documents);
                break;
            case OutputFormat.Json:
                Line(documents, many(DocumentContext.Indented));
                break;
            default:
                foreach (var document in documents)
                {
                    Line(document, one(DocumentContext.Lines));
                }

                break;
        }
    }

    private static void Line<T>(T document, JsonTypeInfo<T> type)
    {
        Console.Out.WriteLine(JsonSerializer.Serialize(document, type));
        Console.Out.Flush();
    }
}
