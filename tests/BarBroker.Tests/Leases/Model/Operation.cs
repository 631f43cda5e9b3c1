// SPDX-License-Identifier: Apache-2.0

using System.Globalization;
using System.Text.RegularExpressions;
using CsCheck;
using static BarBroker.Tests.Leases.Model.OperationKind;

namespace BarBroker.Tests.Leases.Model;

/// <summary>A step of a history. The numbers mean what the kind makes of them, by remainder, so that every operation fits every state.</summary>
internal readonly partial record struct Operation(OperationKind Kind, int A, int B, int C, int D)
{
    /// <summary>Everything goes wrong: few leases live long enough for somebody to wait for them.</summary>
    private static readonly (int Weight, OperationKind Kind)[] Rough =
    [
        (12, AcquireExplicit), (14, AcquireSized), (2, CancelAcquire), (14, AcquireWaiting), (1, CancelWait), (16, Redeem), (1, RedeemAsAnother), (1, AbandonDelivery),
        (10, Renew), (8, RenewWithProgress), (1, RenewAsAnother), (8, Release), (1, ReleaseAsAnother), (4, End), (4, Recall), (3, Acknowledge), (2, OwnerExit), (14, PassTime),
        (4, PassToDeadline), (2, Stall), (2, Suspend), (3, BlockDevice), (4, UnblockDevice), (4, PumpOne), (2, FailRevokes), (2, FailCloses), (1, FailOpens), (2, FailExports),
        (1, FailFills), (4, HealDevice), (1, RequestDevice), (1, FailDevice), (1, LoseDevice), (1, LookForDevices), (1, ResetDevice), (1, ResetWithGrace), (1, Cordon), (2, Uncordon),
        (6, Interleave), (2, Reload), (1, Shutdown), (1, Crash),
    ];

    /// <summary>Many want the same, and hold it: queues grow, places are kept, leases are recalled for others.</summary>
    private static readonly (int Weight, OperationKind Kind)[] Crowded =
    [
        (9, AcquireExplicit), (12, AcquireSized), (1, CancelAcquire), (32, AcquireWaiting), (3, CancelWait), (16, Redeem), (1, AbandonDelivery), (4, Renew), (20, RenewWithProgress),
        (7, Release), (2, End), (4, Recall), (4, Acknowledge), (8, PassTime), (4, PassToDeadline), (1, Stall), (1, Suspend), (2, BlockDevice), (4, UnblockDevice), (3, PumpOne),
        (1, FailRevokes), (3, HealDevice), (1, Cordon), (3, Uncordon), (3, Interleave), (2, Reload),
    ];

    /// <summary>Devices come and go, and hold on to what they should let go.</summary>
    private static readonly (int Weight, OperationKind Kind)[] Troubled =
    [
        (14, AcquireExplicit), (14, AcquireSized), (8, AcquireWaiting), (28, Redeem), (16, RenewWithProgress), (4, Release), (8, End), (2, Recall), (1, OwnerExit), (22, PassTime),
        (4, PassToDeadline), (1, Stall), (1, Suspend), (3, BlockDevice), (4, UnblockDevice), (3, PumpOne), (8, FailRevokes), (5, FailCloses), (2, FailOpens), (2, FailResets), (1, FailExports), (2, FailFills),
        (4, HealDevice), (6, RequestDevice), (4, FailDevice), (2, LoseDevice), (2, LookForDevices), (3, ResetDevice), (5, ResetWithGrace), (9, AnswerKill), (3, Cordon), (3, Uncordon),
        (4, Interleave), (2, Reload),
    ];

    /// <summary>A history of one of the sorts.</summary>
    public static Gen<Operation[]> History(int longest) =>
        CsCheck.Gen.OneOf(Of(Rough).Array[1, longest], Of(Crowded).Array[1, longest], Of(Troubled).Array[1, longest]);

    private static Gen<Operation> Of((int Weight, OperationKind Kind)[] weights) => CsCheck.Gen.Select(
        CsCheck.Gen.Frequency([.. weights.Select(static w => (w.Weight, (IGen<OperationKind>)CsCheck.Gen.Const(w.Kind)))]),
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        CsCheck.Gen.Int[0, 1023],
        static (kind, a, b, c, d) => new Operation(kind, a, b, c, d));

    /// <summary>What <see cref="ToString"/> makes of operations, whatever is between them.</summary>
    public static Operation[] Parse(string text) => [.. Printed().Matches(text).Select(static m => new Operation(
        Enum.Parse<OperationKind>(m.Groups[1].Value), Number(m, 2), Number(m, 3), Number(m, 4), Number(m, 5)))];

    private static int Number(Match match, int group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"new\((\w+), (\d+), (\d+), (\d+), (\d+)\)")]
    private static partial Regex Printed();

    public override string ToString() => $"new({Kind}, {A}, {B}, {C}, {D})";
}
