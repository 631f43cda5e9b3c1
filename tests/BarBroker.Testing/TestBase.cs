// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Testing;

/// <summary>
/// What every test of sockets, processes and devices ends with: what it made is disposed, in reverse order, no descriptor is left open, and nothing unexpected was
/// logged as an Error. Since descriptors belong to the whole process, classes that derive from it do not run beside others: the assembly, or the
/// collection, disables parallel tests.
/// </summary>
public abstract class TestBase : IAsyncLifetime
{
    private readonly Stack<object> _owned = new();
    private OpenFiles? _before;

    /// <summary>Cancelled when the run is.</summary>
    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected LogCapture Logs { get; } = new();

    public virtual ValueTask InitializeAsync()
    {
        Warmup.Run();
        _before = OpenFiles.Now();
        return ValueTask.CompletedTask;
    }

    public virtual async ValueTask DisposeAsync()
    {
        while (_owned.TryPop(out object? owned))
        {
            await DisposeOf(owned);
        }

        GC.SuppressFinalize(this);
        if (TestContext.Current.TestState?.Result == TestResult.Failed)
        {
            // The failure is the news; what it left behind is its consequence.
            return;
        }

        try
        {
            await Wait.Until(() => OpenFiles.Now().MoreThan(_before!).Length == 0, "every descriptor closed", TimeSpan.FromSeconds(5));
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException($"descriptors left open: {OpenFiles.Now().MoreThan(_before!)}");
        }

        Logs.ThrowOnUnexpectedErrors();
    }

    /// <summary>Disposed at the end of the test, before what was owned earlier.</summary>
    protected T Own<T>(T disposable) where T : notnull
    {
        _owned.Push(disposable);
        return disposable;
    }

    private static async ValueTask DisposeOf(object owned)
    {
        if (owned is IAsyncDisposable later)
        {
            await later.DisposeAsync();
        }
        else
        {
            ((IDisposable)owned).Dispose();
        }
    }
}
