// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal enum OutputFormat
{
    /// <summary>For people.</summary>
    Table,

    /// <summary>One document.</summary>
    Json,

    /// <summary>One object a line, as each comes.</summary>
    Jsonl,
}
