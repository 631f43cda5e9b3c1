// SPDX-License-Identifier: Apache-2.0

using System.Net.Sockets;
using BarBroker.Linux;
using BarBroker.Linux.Sockets;
using BarBroker.V1;
using Google.Protobuf;

namespace BarBroker.Client;

internal sealed partial class FdChannel
{
    /// <summary>The follow that waits for its answer; changed under the gate.</summary>
    private TaskCompletionSource<IReadOnlyList<FollowResult>>? _follow;

    /// <summary>
    /// Asks for the notices of leases that came over another connection, and waits for the answer; however long, as a broker that is about to start answers later. One at a time.
    /// </summary>
    /// <param name="leaseIds">At most <see cref="FdChannelLimits.MaxFollowed"/>.</param>
    /// <returns>One for each id.</returns>
    /// <exception cref="BrokerUnavailableException">The connection broke. Where the broker refused the request itself, that is the inner exception.</exception>
    public async Task<IReadOnlyList<FollowResult>> FollowAsync(IReadOnlyCollection<string> leaseIds, CancellationToken cancellation)
    {
        byte[] packet = new FdRequest { Follow = new FollowRequest { LeaseIds = { leaseIds } } }.ToByteArray();
        var follow = new TaskCompletionSource<IReadOnlyList<FollowResult>>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_failure is { } cause)
            {
                throw BrokerUnavailableException.From(_path, cause);
            }

            _follow = follow;
        }

        try
        {
            if (!FdSocket.TrySend(_socket, packet, []))
            {
                await _socket.SendAsync(packet, SocketFlags.None, cancellation).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is SocketException or LinuxException or ObjectDisposedException)
        {
            Fail(exception);
        }

        var results = await follow.Task.WaitAsync(cancellation).ConfigureAwait(false);
        if (results.Count == leaseIds.Count)
        {
            return results;
        }

        var unexpected = new InvalidDataException($"the broker sent {results.Count} results for a follow of {leaseIds.Count} leases");
        Fail(unexpected);
        throw BrokerUnavailableException.From(_path, unexpected);
    }

    /// <summary>Null: none waits.</summary>
    private TaskCompletionSource<IReadOnlyList<FollowResult>>? TakeFollow()
    {
        lock (_gate)
        {
            var follow = _follow;
            _follow = null;
            return follow;
        }
    }
}
