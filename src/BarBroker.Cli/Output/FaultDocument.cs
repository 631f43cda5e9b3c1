// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Cli.Output;

/// <summary>One thing that is wrong with a configuration file; line 0 is the file as a whole.</summary>
internal sealed record FaultDocument(string Path, long Line, string Message);
