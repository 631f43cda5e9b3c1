// SPDX-License-Identifier: Apache-2.0

using System.Collections.Immutable;
using BarBroker.Devices;
using BarBroker.Leases;
using BarBroker.Wire;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Tests.Wire;

public sealed class WireTests
{
    [Fact]
    public void ToWire_EveryEnumerationValue_HasTheSameNameOnTheWire()
    {
        AssertSameNames<LeaseState, V1.LeaseState>(LeaseWire.ToWire);
        AssertSameNames<BufferAccess, V1.Access>(LeaseWire.ToWire);
        AssertSameNames<MemoryAttribute, V1.MemoryAttribute>(LeaseWire.ToWire);
        AssertSameNames<RevocationDomain, V1.RevocationDomain>(DeviceWire.ToWire);
        AssertSameNames<DeviceState, V1.DeviceState>(state => (V1.DeviceState)state);
        AssertSameNames<SegmentUse, V1.Segment.Types.Use>(use => (V1.Segment.Types.Use)use);
        AssertSameNames<CordonCause, V1.CordonCause>(cause => (V1.CordonCause)cause);
        AssertSameNames<EscalationStep, V1.EscalationStep>(step => (V1.EscalationStep)step);
        AssertSameNames<EscalationOutcome, V1.EscalationOutcome>(outcome => (V1.EscalationOutcome)outcome);
        AssertSameNames<EndReason, V1.EndReason>(LeaseWire.ToWire, except: EndReason.None);
        Assert.Equal(V1.EndReason.Unspecified, EndReason.None.ToWire());
    }

    [Fact]
    public void ToWire_Lease_CarriesEveryField()
    {
        var lease = new LeaseInfo(
            "l-1",
            7,
            "sim0",
            [new LeaseBuffer(2, [new BarRange(8192, 4096), new BarRange(0, 4096)], 8192)],
            BufferAccess.ReadOnly,
            MemoryAttribute.WriteCombining,
            new LeaseOwner(1000, 100, 42, "app"),
            ImmutableDictionary<string, string>.Empty.Add("job", "x"),
            LeaseState.Stuck,
            EndReason.Expired,
            "no heartbeat",
            TimeSpan.FromSeconds(30),
            TimeSpan.FromSeconds(-1),
            TimeSpan.FromSeconds(40),
            TimeSpan.FromSeconds(5),
            TimeSpan.FromSeconds(3),
            2,
            "EIO",
            "storage",
            TimeSpan.FromSeconds(50),
            Priority: 3,
            RecallReason: EndReason.Preempted,
            RecallDetail: "why",
            RecallAcknowledged: true)
        {
            Pool = "queues",
            PoolSlot = 3,
            StuckFor = TimeSpan.FromSeconds(9),
            Escalations = [new(EscalationStep.Kill, EscalationOutcome.Refused, "why not", TimeSpan.FromSeconds(4))],
        };

        var message = lease.ToWire();

        foreach (var field in V1.Lease.Descriptor.Fields.InDeclarationOrder())
        {
            Assert.True(field.IsMap || field.IsRepeated ? field.Accessor.GetValue(message) is System.Collections.ICollection { Count: > 0 } : !IsDefault(field.Accessor.GetValue(message)), field.Name);
        }

        Assert.Equal([(8192ul, 4096ul), (0ul, 4096ul)], message.Buffers[0].Ranges.Select(range => (range.Offset, range.Length)));
        Assert.Equal(new Duration(), message.Remaining);
        Assert.Equal((1000u, 100u, 42, "app"), (message.Owner.Uid, message.Owner.Gid, message.Owner.Pid, message.Owner.Comm));
    }

    [Fact]
    public void ToWire_DeviceThatNeverOpened_HasNameStateAndReason()
    {
        var message = new DeviceInfo("nvme0", DeviceState.Unavailable, "no such device", null, [], 0, 0) { Cordons = [new(CordonCause.Error, "AER")] }.ToWire();

        Assert.Equal(("nvme0", V1.DeviceState.Unavailable, "no such device", ""), (message.Name, message.State, message.Detail, message.Kind));
        Assert.Equal([new V1.Cordon { Cause = V1.CordonCause.Error, Comment = "AER" }], message.Cordons);
    }

    [Fact]
    public void ToStatus_Refusal_HasCodeMessageAndDetail()
    {
        var status = new LeaseException(LeaseError.NoRoom, "taken") { LeaseId = "l-1", Field = "buffers[0]" }.ToStatus();

        Assert.Equal((8, "taken"), (status.Code, status.Message));
        Assert.Equal(new V1.ErrorDetail { LeaseId = "l-1", Field = "buffers[0]" }, status.Details[0].Unpack<V1.ErrorDetail>());
        Assert.Empty(new LeaseException(LeaseError.Denied, "no").ToStatus().Details);
    }

    [Fact]
    public void ToStatusCode_EveryError_HasOne() => Assert.All(System.Enum.GetValues<LeaseError>(), error => Assert.NotEqual(Grpc.Core.StatusCode.OK, error.ToStatusCode()));

    private static bool IsDefault(object? value) => value is null or "" || (value.GetType().IsValueType && value.Equals(Activator.CreateInstance(value.GetType())));

    private static void AssertSameNames<TDomain, TWire>(Func<TDomain, TWire> convert, params TDomain[] except)
        where TDomain : struct, System.Enum
        where TWire : struct, System.Enum
    {
        foreach (var value in System.Enum.GetValues<TDomain>().Except(except))
        {
            Assert.Equal(value.ToString(), convert(value).ToString());
        }

        Assert.Equal(System.Enum.GetValues<TDomain>().Length - except.Length, System.Enum.GetValues<TWire>().Length - 1);
    }
}
