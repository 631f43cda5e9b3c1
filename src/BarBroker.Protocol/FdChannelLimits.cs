// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.V1;

/// <summary>What both ends of the fd channel go by. See fd_channel.proto.</summary>
public static class FdChannelLimits
{
    /// <summary>The most lease ids of a <see cref="FollowRequest"/>.</summary>
    public const int MaxFollowed = 256;
}
