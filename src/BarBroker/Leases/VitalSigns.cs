// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Leases;

/// <summary>Who has answered since the last <see cref="LeaseManager.AskForSigns"/>.</summary>
/// <param name="IsSweeping">The sweep, which ends what has expired, has run.</param>
/// <param name="InCall">Devices whose threads have been in one call since: the kernel keeps them, which nobody here can change.</param>
/// <param name="Silent">Devices whose threads should have answered.</param>
internal sealed record VitalSigns(bool IsSweeping, ImmutableArray<string> InCall, ImmutableArray<string> Silent)
{
    /// <summary>All that this process can do by itself goes on.</summary>
    public bool AreGood => IsSweeping && Silent.IsEmpty;

    /// <summary>What is wrong; empty if they are good.</summary>
    public string Complaint => string.Join(
        "; ",
        Silent.Select(static device => $"the thread of {device} does not answer").Prepend("the sweep, which ends what has expired, does not run").Skip(IsSweeping ? 1 : 0));

    /// <summary>Whether leases of the device can be granted and ended now.</summary>
    public bool IsAnswering(string device) => !InCall.Contains(device) && !Silent.Contains(device);
}
