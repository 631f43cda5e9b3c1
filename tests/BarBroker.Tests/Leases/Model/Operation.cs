// SPDX-License-Identifier: Apache-2.0

using CsCheck;
using static BarBroker.Tests.Leases.Model.OperationKind;

namespace BarBroker.Tests.Leases.Model;

/// <summary>A step of a history. The numbers mean what the kind makes of them, by remainder, so that every operation fits every state.</summary>
internal readonly record struct Operation(OperationKind Kind, int A, int B, int C, int D)
{
    private static readonly (int Weight, OperationKind Kind)[] Weights =
    [
        (12, AcquireExplicit), (14, AcquireSized), (2, CancelAcquire), (14, AcquireWaiting), (1, CancelWait), (16, Redeem), (1, RedeemAsAnother), (10, Renew), (8, RenewWithProgress),
        (1, RenewAsAnother), (8, Release), (1, ReleaseAsAnother), (4, End), (4, Recall), (2, OwnerExit), (14, PassTime), (2, Stall), (3, BlockDevice),
        (4, UnblockDevice), (4, PumpOne), (2, FailRevokes), (2, FailCloses), (1, FailOpens), (2, FailExports), (4, HealDevice), (1, LoseDevice),
        (1, ResetDevice), (1, Cordon), (2, Uncordon), (6, Interleave), (2, Reload), (1, Shutdown), (1, Crash),
    ];

    public static Gen<Operation> Gen { get; } = CsCheck.Gen.Select(
        CsCheck.Gen.Frequency([.. Weights.Select(static w => (w.Weight, (IGen<OperationKind>)CsCheck.Gen.Const(w.Kind)))]),
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        static (kind, a, b, c, d) => new Operation(kind, a, b, c, d));

    public override string ToString() => $"new({Kind}, {A}, {B}, {C}, {D})";
}
