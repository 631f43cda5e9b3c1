// SPDX-License-Identifier: Apache-2.0

using BarBroker.Leases;
using BarBroker.Wire;
using Google.Protobuf.WellKnownTypes;

namespace BarBroker.Rpc;

/// <summary>Answers the messages of one keep-alive stream, always with the same objects: the answer is valid until the next one is asked for.</summary>
internal sealed class Heartbeats(LeaseManager leases, uint uid)
{
    public const int MaxPerMessage = 1024;

    private readonly List<V1.HeartbeatResult> _results = [];
    private readonly V1.KeepAliveResponse _response = new();

    public V1.KeepAliveResponse Answer(V1.KeepAliveRequest request)
    {
        int count = request.Heartbeats.Count;
        if (count > MaxPerMessage)
        {
            throw new LeaseException(LeaseError.Invalid, $"{count} heartbeats in one message; at most {MaxPerMessage} are taken") { Field = "heartbeats" };
        }

        _response.Results.Clear();
        for (int i = 0; i < count; i++)
        {
            var heartbeat = request.Heartbeats[i];
            _response.Results.Add(Fill(i, leases.Renew(heartbeat.LeaseId, uid, heartbeat.Progress)));
        }

        return _response;
    }

    private V1.HeartbeatResult Fill(int index, Renewal renewal)
    {
        if (index == _results.Count)
        {
            _results.Add(new V1.HeartbeatResult { Remaining = new Duration() });
        }

        var result = _results[index];
        long ticks = Math.Max(renewal.Remaining.Ticks, 0);
        result.Remaining.Seconds = ticks / TimeSpan.TicksPerSecond;
        result.Remaining.Nanos = (int)(ticks % TimeSpan.TicksPerSecond * 100);
        result.State = renewal.State.ToWire();
        result.EndReason = renewal.EndReason.ToWire();
        return result;
    }
}
