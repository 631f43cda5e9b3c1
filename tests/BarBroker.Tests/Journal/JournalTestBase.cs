// SPDX-License-Identifier: Apache-2.0

using BarBroker.Configuration;
using BarBroker.Journal;
using BarBroker.Leases;
using BarBroker.Linux.Time;
using BarBroker.Testing;
using BarBroker.Tests.Leases;
using Microsoft.Data.Sqlite;

namespace BarBroker.Tests.Journal;

/// <summary>A journal on real files in directories of its own, and a lease manager on fake devices that it is told of.</summary>
[Collection(typeof(Alone))]
public abstract class JournalTestBase : TestBase
{
    private protected const int Failing = 500;
    private protected const int Unprotected = 504;
    private protected const int Overdue = 508;

    private protected TestDirectory Directory { get; private set; } = null!;

    private protected LeaseFixture Leases { get; private set; } = null!;

    private protected string State => Directory.File("state");

    private protected string Run => Directory.File("run");

    private protected string Database => Path.Combine(State, "journal.db");

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        Directory = Own(new TestDirectory());
        System.IO.Directory.CreateDirectory(State);
        System.IO.Directory.CreateDirectory(Run);
        Leases = Own(new LeaseFixture());
    }

    /// <summary>A journal that is told of the leases.</summary>
    private protected LeaseJournal Start(JournalOptions? options = null, string? runtime = null, TimeProvider? time = null)
    {
        var journal = Own(new LeaseJournal(
            new BrokerOptions { StateDirectory = State, RuntimeDirectory = runtime ?? Run, Journal = options ?? new JournalOptions() },
            time ?? new BootTimeProvider(),
            () => Leases.Manager.List(LeaseFilter.All),
            Logs.CreateLogger("journal")));
        Own(Leases.Manager.Subscribe(journal));
        journal.TakeOver(new HashSet<ulong>());
        return journal;
    }

    private protected LeaseInfo Acquire() => Leases.Active(LeaseFixture.Sized(LeaseFixture.Page));

    private protected LeaseInfo End(LeaseInfo lease, string detail = "in the way")
    {
        Leases.Manager.End(lease.Id, EndReason.Operator, detail);
        Leases.Pump();
        return Leases.Get(lease.Id);
    }

    private protected static async Task<List<V1.HistoryEvent>> ReadAsync(LeaseJournal journal, V1.HistoryRequest? request = null)
    {
        var query = HistoryQuery.Read(request ?? new V1.HistoryRequest());
        return await Wait.For(journal.AskAsync(store => store.Bounds(query) is var (first, last) ? store.Page(query, first, last, 100_000) : []), "the journal's answer");
    }

    /// <summary>Waits until the journal answers, and its answer is this.</summary>
    private protected static Task WaitForAsync(LeaseJournal journal, Func<List<V1.HistoryEvent>, bool> condition, string what) => Wait.Until(
        async () =>
        {
            try
            {
                return condition(await ReadAsync(journal));
            }
            catch (LeaseException)
            {
                return false;
            }
        },
        what);

    /// <summary>What is in the file, which no journal has open.</summary>
    private protected static List<string> Select(string file, string statement)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = statement;
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(reader.GetValue)));
        }

        return rows;
    }

    private protected static bool Tells(V1.HistoryEvent entry, V1.HistoryKind kind, string lease) => entry.Kind == kind && entry.LeaseId == lease;
}
