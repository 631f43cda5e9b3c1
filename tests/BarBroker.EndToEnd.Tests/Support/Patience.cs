// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.EndToEnd.Tests.Support;

/// <summary>Limits for what must happen. They are met only by what is broken, also on a machine that is busy with other things.</summary>
internal static class Patience
{
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(60);
}
