// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>The kinds of refusal; each is one gRPC status code.</summary>
internal enum LeaseError
{
    /// <summary>INVALID_ARGUMENT: <see cref="LeaseException.Field"/> is wrong.</summary>
    Invalid,

    /// <summary>UNIMPLEMENTED: a field that this broker or device does not honour.</summary>
    Unsupported,

    /// <summary>NOT_FOUND: no such lease, device or ticket, or not the caller's.</summary>
    NotFound,

    /// <summary>FAILED_PRECONDITION: the lease has ended.</summary>
    Ended,

    /// <summary>RESOURCE_EXHAUSTED: taken, or no room.</summary>
    NoRoom,

    /// <summary>RESOURCE_EXHAUSTED: over a quota.</summary>
    Quota,

    /// <summary>RESOURCE_EXHAUSTED: faster than the policy allows.</summary>
    Rate,

    /// <summary>PERMISSION_DENIED.</summary>
    Denied,

    /// <summary>UNAVAILABLE: the device is cordoned or gone, or the broker is shutting down.</summary>
    Unavailable,
}
