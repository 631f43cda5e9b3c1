// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Policy;

internal enum MatchResult
{
    No,
    Yes,

    /// <summary>A condition asks for something that could not be told, and no other condition fails.</summary>
    Unknown,
}
