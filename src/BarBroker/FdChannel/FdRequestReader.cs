// SPDX-License-Identifier: Apache-2.0

using System.Diagnostics.CodeAnalysis;
using BarBroker.Leases;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.FdChannel;

/// <summary>Packets as requests. What is wrong with one that cannot be answered otherwise is the end of its connection.</summary>
internal static class FdRequestReader
{
    /// <param name="data">The packet's bytes.</param>
    /// <param name="limit">The length of the buffer that it was received in.</param>
    public static bool TryRead(ReceivedPacket packet, ReadOnlySpan<byte> data, int limit, [NotNullWhen(true)] out FdRequest? request, out string fault)
    {
        request = null;
        fault = packet switch
        {
            { Files.IsEmpty: false } => "the packet carries file descriptors; send none",
            { IsTruncated: true } => $"the packet is longer than {limit} bytes, or carries file descriptors",
            { Length: 0 } => "the packet is empty; send a FdRequest",
            _ => "",
        };
        if (fault.Length > 0)
        {
            return false;
        }

        try
        {
            request = FdRequest.Parser.ParseFrom(data);
        }
        catch (InvalidProtocolBufferException)
        {
            fault = "the packet is not a FdRequest";
            return false;
        }

        fault = request.RequestCase switch
        {
            FdRequest.RequestOneofCase.None => "the FdRequest has no request that this broker knows",
            FdRequest.RequestOneofCase.Acquire when request.Acquire.RequestId.Length is 0 or > AcquireValidator.MaxRequestId =>
                $"an acquire on this socket has a request_id of 1 to {AcquireValidator.MaxRequestId} characters, because its answer is known by it; this one has {request.Acquire.RequestId.Length}",
            FdRequest.RequestOneofCase.Follow when request.Follow.LeaseIds.Count is 0 or > FdChannelLimits.MaxFollowed =>
                $"a follow has 1 to {FdChannelLimits.MaxFollowed} lease ids; this one has {request.Follow.LeaseIds.Count}",
            _ => "",
        };
        return fault.Length == 0;
    }
}
