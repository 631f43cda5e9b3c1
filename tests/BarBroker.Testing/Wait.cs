// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics;

namespace BarBroker.Testing;

/// <summary>Waiting for what must happen, with a limit that says what did not.</summary>
public static class Wait
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    public static async Task Until(Func<bool> condition, string what, TimeSpan? limit = null)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            ThrowIfOver(start, what, limit ?? Limit);
            await Task.Delay(Interval);
        }
    }

    public static async Task Until(Func<Task<bool>> condition, string what, TimeSpan? limit = null)
    {
        long start = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            ThrowIfOver(start, what, limit ?? Limit);
            await Task.Delay(Interval);
        }
    }

    public static async Task For(Task task, string what, TimeSpan? limit = null)
    {
        if (await Task.WhenAny(task, Task.Delay(limit ?? Limit)) != task)
        {
            throw TimedOut(what, limit ?? Limit);
        }

        await task;
    }

    public static async Task<T> For<T>(Task<T> task, string what, TimeSpan? limit = null)
    {
        await For((Task)task, what, limit);
        return await task;
    }

    private static void ThrowIfOver(long start, string what, TimeSpan limit)
    {
        if (Stopwatch.GetElapsedTime(start) > limit)
        {
            throw TimedOut(what, limit);
        }
    }

    private static TimeoutException TimedOut(string what, TimeSpan limit) => new($"waited {limit.TotalSeconds:0.#} s for this, which did not happen: {what}");
}
