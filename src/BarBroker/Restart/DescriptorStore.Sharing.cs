// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Linux;

namespace BarBroker.Restart;

/// <content>
/// Names that several keep: what devices have in common, and a process that is forgotten while it connects again. They are forgotten when the last of them has dropped them. The manager does what it is told in
/// the order in which it is told, and takes no file twice; so whoever stores something waits until it has been told to forget what was there by that name before, or it would forget the new one, too. Nobody
/// waits for anything else.
/// </content>
internal sealed partial class DescriptorStore
{
    private readonly Dictionary<string, NameUse> _uses = new(StringComparer.Ordinal);

    public void Join(string name)
    {
        lock (_gate)
        {
            UseOf(name).Users++;
        }
    }

    private bool KeepForOneMore(string name, ReadOnlySpan<FileDescriptor> files)
    {
        while (true)
        {
            Task forgetting;
            lock (_gate)
            {
                var use = UseOf(name);
                if (use.Forgetting is null)
                {
                    // What is shared is the same file each time. A process has a new pidfd each time.
                    if (!KeptName.IsShared(name) || !_kept.ContainsKey(name))
                    {
                        if (!HasRoom(name, files.Length))
                        {
                            ForgetUnused(name, use);
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
                DropForOne(name);
            }
        }
    }

    private void DropForOne(string name)
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
                Uncount(name);
            }

            _uses.Remove(name);
        }

        forgetting.SetResult();
    }

    private static bool IsOfSeveral(string name) => KeptName.IsShared(name) || KeptName.IsClient(name);

    /// <summary>Under the lock.</summary>
    private void ForgetUnused(string name, NameUse use)
    {
        if (use.Users == 0)
        {
            _uses.Remove(name);
        }
    }

    /// <summary>Under the lock.</summary>
    private NameUse UseOf(string name) => _uses.TryGetValue(name, out var use) ? use : _uses[name] = new NameUse();

    private sealed class NameUse
    {
        public int Users { get; set; }

        /// <summary>The last one is gone, and the manager is being told. Null: it is not.</summary>
        public TaskCompletionSource? Forgetting { get; set; }
    }
}
