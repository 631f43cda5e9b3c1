// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Configuration;

/// <summary>One thing that is wrong with a configuration.</summary>
/// <param name="Path">Where in the file, such as <c>devices[0].size</c>; empty for the file as a whole.</param>
/// <param name="Line">From 1; 0 if there is none.</param>
/// <param name="Message">What is wrong, and what would be right.</param>
internal sealed record ConfigurationFault(string Path, long Line, string Message);
