// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.EndToEnd.Tests.Revocation;

/// <summary>The ways in which a lease whose fds were fetched can end.</summary>
public enum LeaseEnd
{
    Released,
    TtlPassed,
    ClientHangs,
    ClientKilled,
    ClientStopped,
    OperatorRevokes,
    RecallDeadlinePassed,
    DeviceDrained,
    DeviceVanished,
    DeviceReset,
    BrokerTerminated,
}
