// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>One cause for which a device is cordoned, and what was said of it; the comment may be empty.</summary>
internal sealed record DeviceCordon(CordonCause Cause, string Comment)
{
    /// <summary>Such as "cordoned: firmware update by uid 0", "cordoned because a revoke is stuck: lease 12 for 30 s".</summary>
    public override string ToString()
    {
        string why = Cause switch
        {
            CordonCause.Stuck => "cordoned because a revoke is stuck",
            CordonCause.Error => "cordoned because the device reported an error",
            _ => "cordoned",
        };
        return Comment.Length > 0 ? $"{why}: {Comment}" : why;
    }
}
