// SPDX-License-Identifier: Apache-2.0

using BarBroker.Linux;

namespace BarBroker.Restart;

/// <content>
/// What several devices have in common is stored once, by one name, and forgotten when the last of them has dropped it. The manager does what it is told in the order in which it is told, and takes no file
/// twice; so whoever stores one waits until it has been told to forget what was there by that name before, or it would forget the new one, too. Nobody waits for anything else.
/// </content>
internal sealed partial class DescriptorStore
{
    private readonly Dictionary<string, SharedUse> _uses = new(StringComparer.Ordinal);

    public void Join(string name)
    {
        lock (_gate)
        {
            UseOf(name).Users++;
        }
    }

    private bool KeepShared(string name, ReadOnlySpan<FileDescriptor> files)
    {
        while (true)
        {
            Task forgetting;
            lock (_gate)
            {
                var use = UseOf(name);
                if (use.Forgetting is null)
                {
                    if (!_kept.ContainsKey(name))
                    {
                        if (!HasRoom(name, files.Length))
                        {
                            return false;
                        }

                        Add(name, files.Length);
                    }

                    use.Users++;
                    break;
                }

                forgetting = use.Forgetting.Task;
            }

            forgetting.Wait();
        }

        // By each of them: the first one may not have come to it yet, and what the manager has already it does not take again.
        bool isStored = false;
        try
        {
            return isStored = TryStore(name, files);
        }
        finally
        {
            if (!isStored)
            {
                DropShared(name);
            }
        }
    }

    private void DropShared(string name)
    {
        TaskCompletionSource forgetting;
        lock (_gate)
        {
            var use = UseOf(name);
            use.Users = Math.Max(0, use.Users - 1);
            if (use.Users > 0 || use.Forgetting is not null)
            {
                return;
            }

            use.Forgetting = forgetting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        bool isForgotten = TryForget(name);
        lock (_gate)
        {
            if (isForgotten)
            {
                Add(name, -_kept.GetValueOrDefault(name));
                _isFullTold = false;
            }

            _uses.Remove(name);
        }

        forgetting.SetResult();
    }

    /// <summary>Under the lock.</summary>
    private SharedUse UseOf(string name) => _uses.TryGetValue(name, out var use) ? use : _uses[name] = new SharedUse();

    private sealed class SharedUse
    {
        public int Users { get; set; }

        /// <summary>The last one is gone, and the manager is being told. Null: it is not.</summary>
        public TaskCompletionSource? Forgetting { get; set; }
    }
}
