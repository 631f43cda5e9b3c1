// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.Leases.Model;

/// <summary>What the model expects of one device. Times are milliseconds.</summary>
/// <param name="requestGrace">How long leases are recalled for when the kernel asks for it.</param>
internal sealed class ModelDevice(long requestGrace)
{
    public long RequestGrace => requestGrace;

    /// <summary>Its thread is in the kernel.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Why it grants nothing; each cause comes and goes by itself.</summary>
    public SortedSet<CordonCause> Cordons { get; } = [];

    /// <summary>When it was last cordoned because of a stuck lease.</summary>
    public long StuckCordonAt { get; set; } = -1;

    public ModelPlan? Plan { get; set; }

    /// <summary>It is gone, or was given back: until it was closed so often, what it says is not heard.</summary>
    public int LostUntilClose { get; set; }

    /// <summary>When that was last.</summary>
    public long ReturnedAt { get; set; } = -1;

    /// <summary>It must have been closed so often as soon as its thread lets it be.</summary>
    public int MustClose { get; set; }

    /// <summary>An error was reported while it was opened or reset: the reset that is going on is no answer to that.</summary>
    public bool HasFailedMeanwhile { get; set; }

    /// <summary>As last seen.</summary>
    public int Resets { get; set; }

    public int Closes { get; set; }

    /// <summary>When it last exported a lease or proved the end of one.</summary>
    public long AnsweredAt { get; set; } = -1;

    /// <summary>When it was last blocked, or failed at something.</summary>
    public long FaultAt { get; set; } = long.MinValue / 2;

    /// <summary>That, or when it had to leave.</summary>
    public long DisturbedAt { get; set; }
}
