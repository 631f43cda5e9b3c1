// SPDX-License-Identifier: Apache-2.0

using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using BarBroker.Cli.Binding;
using BarBroker.Cli.Diagnosis;
using Spectre.Console;

namespace BarBroker.Cli.Output;

/// <summary>Writes results in the format that was asked for.</summary>
/// <param name="screen">For tables; null: stdout.</param>
internal sealed class Printer(OutputFormat format, IAnsiConsole? screen = null)
{
    private readonly Lazy<IAnsiConsole> _screen = new(() => screen ?? Screen.Create());
    private readonly List<LeaseDocument> _held = [];

    public bool IsTable => format is OutputFormat.Table or OutputFormat.Wide;

    private bool IsWide => format == OutputFormat.Wide;

    public void Leases(IEnumerable<V1.Lease> leases) =>
        List([.. leases.Select(LeaseDocument.From)], context => context.LeaseDocument, context => context.LeaseDocumentArray, (screen, all) => Tables.Leases(screen, all, IsWide), static lease => lease.Id);

    public void Lease(V1.Lease lease) => One(LeaseDocument.From(lease), context => context.LeaseDocument, Tables.Lease, static lease => lease.Id);

    public void Clients(ClientDocument[] clients) =>
        List(clients, context => context.ClientDocument, context => context.ClientDocumentArray, (screen, all) => ClientTable.Write(screen, all, IsWide), static client => $"{client.Pid}");

    public void Waiting(IEnumerable<V1.Waiting> waiting) =>
        List([.. waiting.Select(WaitingDocument.From)], context => context.WaitingDocument, context => context.WaitingDocumentArray, (screen, all) => Tables.Waiting(screen, all, IsWide));

    public void Devices(IEnumerable<V1.Device> devices) =>
        List([.. devices.Select(DeviceDocument.From)], context => context.DeviceDocument, context => context.DeviceDocumentArray, (screen, all) => Tables.Devices(screen, all, IsWide), static device => device.Name);

    public void Device(V1.Device device, IEnumerable<V1.Segment>? segments = null) => One(
        DeviceDocument.From(device) with { Segments = segments?.Select(SegmentDocument.From).ToArray() }, context => context.DeviceDocument, Tables.Device, static device => device.Name);

    public void Map(MapDocument[] devices) => List(devices, context => context.MapDocument, context => context.MapDocumentArray, BarMap.Write, static device => device.Name);

    public void Pools(IEnumerable<V1.Pool> pools) =>
        List([.. pools.Select(PoolDocument.From)], context => context.PoolDocument, context => context.PoolDocumentArray, PoolTables.Pools, static pool => pool.Name);

    public void Pool(V1.Pool pool) => One(PoolDocument.From(pool), context => context.PoolDocument, PoolTables.Pool, static pool => pool.Name);

    public void Status(V1.GetStatusResponse status) => One(StatusDocument.From(status), context => context.StatusDocument, (screen, document) => Tables.Status(screen, document, IsWide));

    public void Top(TopDocument top) => One(top, context => context.TopDocument, (screen, document) => TopTable.Write(screen, document, IsWide));

    public void Reload(ReloadDocument reload) => One(reload, context => context.ReloadDocument, PolicyTables.Reload);

    public void PolicyCheck(PolicyCheckDocument check) => One(check, context => context.PolicyCheckDocument, PolicyTables.Check);

    public void Findings(Finding[] findings) => List(findings, context => context.Finding, context => context.FindingArray, FindingTables.Write);

    public void ResetPlan(ResetPlanDocument plan) => One(plan, context => context.ResetPlanDocument, Tables.ResetPlan, static plan => plan.Device);

    /// <summary>Leases as they come to their end, and how far that is where somebody looks at a terminal.</summary>
    /// <param name="title">What they are of, or what is done to them.</param>
    public async Task EndingAsync(string title, IAsyncEnumerable<(V1.Lease? Lease, V1.EndingProgress Progress)> endings)
    {
        if (IsTable && Screen.IsLive)
        {
            await EndingView.RunAsync(_screen.Value, title, endings, Ended);
            return;
        }

        await foreach (var (lease, _) in endings)
        {
            if (lease is not null)
            {
                Ended(lease);
            }
        }
    }

    /// <summary>One event, at once; a stream has no end, so that JSON is one document a line in both formats.</summary>
    public void Event(EventDocument document)
    {
        if (IsTable)
        {
            Tables.Event(_screen.Value, document);
        }
        else if (format == OutputFormat.Name)
        {
            Console.Out.WriteLine(Words.Printable(document.Lease?.Id ?? document.Device?.Name ?? ""));
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
            case OutputFormat.Table or OutputFormat.Wide:
                _screen.Value.WriteLine(Words.Printable(Tables.LeaseLine(document)));
                break;
            case OutputFormat.Jsonl:
                Line(document, DocumentContext.Lines.LeaseDocument);
                break;
            case OutputFormat.Name:
                Console.Out.WriteLine(document.Id);
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
            List([.. documents], context => context.HistoryDocument, context => context.HistoryDocumentArray, (screen, all) => HistoryTable.Write(screen, all, IsWide), static entry => $"{entry.Sequence}");
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
            else if (document.Errors.Count > 0)
            {
                continue;
            }
            else if (format == OutputFormat.Name)
            {
                Console.Out.WriteLine(document.Address);
            }
            else
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

    /// <param name="name">The id; null: it has none, and the command does not take that format.</param>
    private void One<T>(T document, Func<DocumentContext, JsonTypeInfo<T>> type, Action<IAnsiConsole, T> table, Func<T, string>? name = null)
    {
        switch (format)
        {
            case OutputFormat.Table or OutputFormat.Wide:
                table(_screen.Value, document);
                break;
            case OutputFormat.Name:
                Console.Out.WriteLine(Words.Printable(name!(document)));
                break;
            default:
                Line(document, type(format == OutputFormat.Json ? DocumentContext.Indented : DocumentContext.Lines));
                break;
        }
    }

    /// <param name="name">As above.</param>
    private void List<T>(
        T[] documents, Func<DocumentContext, JsonTypeInfo<T>> one, Func<DocumentContext, JsonTypeInfo<T[]>> many, Action<IAnsiConsole, IReadOnlyCollection<T>> table, Func<T, string>? name = null)
    {
        switch (format)
        {
            case OutputFormat.Table or OutputFormat.Wide:
                table(_screen.Value, documents);
                break;
            case OutputFormat.Json:
                Line(documents, many(DocumentContext.Indented));
                break;
            default:
                foreach (var document in documents)
                {
                    if (format == OutputFormat.Name)
                    {
                        Console.Out.WriteLine(Words.Printable(name!(document)));
                    }
                    else
                    {
                        Line(document, one(DocumentContext.Lines));
                    }
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
