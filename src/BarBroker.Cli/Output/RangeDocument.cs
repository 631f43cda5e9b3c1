// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal sealed record RangeDocument(ulong Offset, ulong Length);
