// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;

namespace BarBroker.Policy;

/// <summary>Who asks: what the rules of a policy may ask about it.</summary>
internal interface IPolicySubject : IProcessFacts
{
    uint Uid { get; }

    uint Gid { get; }

    /// <summary>The supplementary groups.</summary>
    ImmutableArray<uint> Groups { get; }
}
