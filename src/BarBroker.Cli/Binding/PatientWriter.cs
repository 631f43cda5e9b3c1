// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux.Pci;

namespace BarBroker.Cli.Binding;

/// <summary>
/// Writes to sysfs on a thread of its own, since the kernel may take any time over it and cannot be interrupted: says what it waits for, and gives up waiting
/// when told to. The write goes on then, and so does the process, until the kernel has done it.
/// </summary>
/// <param name="waiting">Told what has not returned after <paramref name="patience"/>.</param>
internal sealed class PatientWriter(IAttributeWriter writer, TimeSpan patience, Action<string> waiting, CancellationToken cancellation) : IAttributeWriter
{
    /// <exception cref="OperationCanceledException">The write goes on.</exception>
    public void Write(string path, string text)
    {
        cancellation.ThrowIfCancellationRequested();
        var write = Task.Factory.StartNew(() => writer.Write(path, text), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        // Not Wait, which wraps what the write throws.
        if (Task.WaitAny([write], (int)patience.TotalMilliseconds, cancellation) < 0)
        {
            waiting($"'{text.Trim()}' > {path}");
            Task.WaitAny([write], cancellation);
        }

        write.GetAwaiter().GetResult();
    }
}
