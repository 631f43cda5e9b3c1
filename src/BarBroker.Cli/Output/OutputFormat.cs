// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

internal enum OutputFormat
{
    /// <summary>For people, at most 80 columns where names are short.</summary>
    Table,

    /// <summary>For people who have room: the same with more columns, where there are more.</summary>
    Wide,

    /// <summary>One document.</summary>
    Json,

    /// <summary>One object a line, as each comes.</summary>
    Jsonl,

    /// <summary>Only ids, one a line.</summary>
    Name,
}
