// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Leases;

/// <summary>Why a lease ended. The first reason wins. The numbers are those of the wire.</summary>
internal enum EndReason
{
    None = 0,
    Released = 1,
    Expired = 2,
    ClientHung = 3,
    ClientExited = 4,
    Operator = 5,
    Preempted = 6,
    Policy = 7,
    DeviceLost = 8,
    DeviceReset = 9,
    BrokerShutdown = 10,
    BrokerRestart = 11,
    TicketExpired = 12,
}
