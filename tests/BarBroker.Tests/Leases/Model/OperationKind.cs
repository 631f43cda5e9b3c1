// SPDX-License-Identifier: Apache-2.0

namespace BarBroker.Tests.Leases.Model;

internal enum OperationKind
{
    AcquireExplicit,
    AcquireSized,
    CancelAcquire,
    Redeem,
    RedeemAsAnother,
    Renew,
    RenewWithProgress,
    RenewAsAnother,
    Release,
    ReleaseAsAnother,
    End,
    Recall,
    OwnerExit,
    PassTime,
    Stall,
    BlockDevice,
    UnblockDevice,
    PumpOne,
    FailRevokes,
    FailCloses,
    FailOpens,
    FailExports,
    HealDevice,
    LoseDevice,
    ResetDevice,
    Cordon,
    Uncordon,
    Interleave,
    Reload,
    Shutdown,
    Crash,
}
