// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;

namespace BarBroker.Tests.FdChannel;

/// <summary>Ends each lease at the moment that its ticket is shown, before anything was delivered.</summary>
internal sealed class EndsWhatBecomesActive(LeaseManager leases) : ILeaseObserver
{
    public void LeaseChanged(LeaseInfo lease)
    {
        if (lease.State == LeaseState.Active)
        {
            leases.End(lease.Id, EndReason.Operator, "at once");
        }
    }

    public void DeviceChanged(DeviceInfo device)
    {
    }
}
