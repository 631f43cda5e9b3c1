#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leases a few pages of a BAR, maps them, writes and reads back, stays alive, and sees the lease end.

What it does is in docs/protocol.md, and nothing else is needed. On Debian: apt-get install python3-grpcio python3-grpc-tools, then

    mkdir -p generated
    python3 -m grpc_tools.protoc -I proto --python_out=generated --grpc_python_out=generated \\
        proto/barbroker/v1/types.proto proto/barbroker/v1/lease_service.proto proto/barbroker/v1/fd_channel.proto
    PYTHONPATH=generated docs/examples/lease.py --runtime-dir /run/barbroker

It runs until the lease ends (an operator revokes it, for example) or it is interrupted, which releases it. With --ticket it asks by gRPC, and
fetches the fds in a second step, for the ticket that it got.
"""
import argparse
import itertools
import mmap
import os
import queue
import select
import signal
import socket
import time
import uuid

import grpc
from barbroker.v1 import fd_channel_pb2, lease_service_pb2, lease_service_pb2_grpc, types_pb2

LARGEST_PACKET = 64 * 1024
MOST_BUFFERS = 8
FINAL_STATES = (types_pb2.LEASE_STATE_ENDED, types_pb2.LEASE_STATE_STUCK)


def exchange(fds, request):
    """Asks on the fd socket; returns the lease and the fds, one for each of its buffers."""
    fds.sendall(request.SerializeToString())
    packet, received, _, _ = socket.recv_fds(fds, LARGEST_PACKET, MOST_BUFFERS)
    response = fd_channel_pb2.FdResponse.FromString(packet)
    if response.WhichOneof("response") == "error":
        raise SystemExit(f"the broker gave no lease: {response.error.message}")
    return response.delivery.lease, received


def acquire(fds, wanted):
    """The lease and its fds in one step."""
    wanted.request_id = str(uuid.uuid4())
    return exchange(fds, fd_channel_pb2.FdRequest(acquire=wanted))


def acquire_by_ticket(leases, fds, wanted):
    """The lease by gRPC, and its fds for the ticket, which any process of this user could show."""
    ticket = leases.Acquire(wanted).ticket
    return exchange(fds, fd_channel_pb2.FdRequest(redeem=fd_channel_pb2.RedeemRequest(ticket=ticket)))


class KeepAlive:
    """The stream of heartbeats. It beats when the work loop says so: a thread of its own would keep a lease alive whose work hangs."""

    def __init__(self, leases, lease_id):
        self._lease_id = lease_id
        self._requests = queue.SimpleQueue()
        self._answers = leases.KeepAlive(iter(self._requests.get, None))

    def beat(self, progress):
        """Returns the seconds that the lease lives from now; 0 if it has ended."""
        heartbeat = lease_service_pb2.Heartbeat(lease_id=self._lease_id, progress=progress)
        self._requests.put(lease_service_pb2.KeepAliveRequest(heartbeats=[heartbeat]))
        result = next(self._answers).results[0]
        return result.remaining.seconds + result.remaining.nanos / 1e9

    def close(self):
        self._requests.put(None)


def start_worker(memory):
    """A child that writes and reads back, and sends a byte for each time it did.

    Whoever touches the memory of a lease that has ended gets SIGBUS, at any moment. So the work is done by a child: it dies of it, and this
    process lives to tell. Returns the child's pid and the end of the pipe to read from.
    """
    done, tell = os.pipe()
    child = os.fork()
    if child != 0:
        os.close(tell)
        return child, done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for count in itertools.count(1):
            pattern = count.to_bytes(8, "little")
            memory[-8:] = pattern
            if memory[-8:] != pattern:
                break
            os.write(tell, b".")
            time.sleep(0.2)
    finally:
        os._exit(1)


def end_of(child):
    """How the child ended, in words."""
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit status {os.waitstatus_to_exitcode(status)}"


def next_notice(fds):
    """The lease as a notice tells of it."""
    packet = fds.recv(LARGEST_PACKET)
    if not packet:
        raise SystemExit("the broker closed the fd channel")
    lease = fd_channel_pb2.FdResponse.FromString(packet).notice.lease
    print(f"notice: {types_pb2.LeaseState.Name(lease.state)} {types_pb2.EndReason.Name(lease.end_reason)}", flush=True)
    return lease


def stay_alive(leases, lease, fds, done):
    """One heartbeat for each time that the worker did its work, until the lease has ended."""
    alive = KeepAlive(leases, lease.id)
    try:
        progress = 0
        sources = [fds, done]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if fds in ready and next_notice(fds).state in FINAL_STATES:
                return
            if done in ready:
                times = len(os.read(done, 4096))
                if times == 0:
                    # The worker is gone. Without heartbeats the lease ends soon, if it has not ended already.
                    sources.remove(done)
                    continue
                progress += times
                left = alive.beat(progress)
                if progress == 1:
                    print(f"wrote and read back, alive for {left:.0f} s", flush=True)
                if left == 0:
                    # The notice is on its way; the worker has nothing to tell any more.
                    while next_notice(fds).state not in FINAL_STATES:
                        pass
                    return
    finally:
        alive.close()


def main():
    parser = argparse.ArgumentParser(description="Lease memory of a device from BAR Broker.")
    parser.add_argument("--runtime-dir", default=os.environ.get("BARBROKER_RUNTIME_DIR", "/run/barbroker"))
    parser.add_argument("--device", default="", help="any device if left out")
    parser.add_argument("--bar", type=int, default=0)
    parser.add_argument("--size", type=int, default=2 * mmap.PAGESIZE)
    parser.add_argument("--ticket", action="store_true", help="ask by gRPC")
    options = parser.parse_args()

    # Without the option the authority would be the socket's path, which an HTTP/2 server need not take for a host name.
    channel = grpc.insecure_channel(f"unix:{options.runtime_dir}/broker.sock", options=[("grpc.default_authority", "localhost")])
    leases = lease_service_pb2_grpc.LeaseServiceStub(channel)
    buffer = lease_service_pb2.BufferRequest(bar=options.bar, size=options.size)
    wanted = lease_service_pb2.AcquireRequest(device=options.device, buffers=[buffer])

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as fds:
        fds.connect(f"{options.runtime_dir}/fd.sock")
        lease, (fd,) = acquire_by_ticket(leases, fds, wanted) if options.ticket else acquire(fds, wanted)
        print(f"leased: {lease.id} on {lease.device}, epoch {lease.epoch}", flush=True)
        memory = mmap.mmap(fd, lease.buffers[0].size)
        os.close(fd)
        child, done = start_worker(memory)
        try:
            stay_alive(leases, lease, fds, done)
        except KeyboardInterrupt:
            leases.Release(lease_service_pb2.ReleaseRequest(lease_id=lease.id))
        ended = leases.GetLease(lease_service_pb2.GetLeaseRequest(lease_id=lease.id)).lease
        print(f"ended: {types_pb2.EndReason.Name(ended.end_reason)} ({ended.end_detail})", flush=True)
        print(f"the worker ended by {end_of(child)}", flush=True)


if __name__ == "__main__":
    main()
