// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>A lease that holds a segment. State and owner are null if it came or went while barctl asked.</summary>
internal sealed record MapHolderDocument(string Id, string? State, OwnerDocument? Owner);
