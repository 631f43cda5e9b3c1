// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Hosting;

/// <summary>One thing that was logged, in its output's form.</summary>
/// <param name="Line">The same as a line for stderr, where the output has another form; else empty.</param>
internal readonly record struct LogItem(ReadOnlyMemory<byte> Bytes, string Line = "");
