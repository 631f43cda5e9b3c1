# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The daemon with real VFIO devices on the stock kernel: leases by gRPC, dmabufs over the fd socket, device-wide revocation, the daemon's death.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl

export BARBROKER_RUNTIME_DIR=/run/barbroker
trace=/sys/kernel/tracing
shm0=$(address_of shm0)
edu0=$(address_of edu0)

start_broker() {
    barbrokerd --config /tmp/broker.json >>/tmp/broker.log 2>&1 &
    broker=$!
    wait_until 60 "the broker's devices" sh -c 'barctl -o jsonl device list | grep -c "\"state\":\"ready\"" | grep -qx 4'
}

# run_as USER NAME OPTIONS...: a client that holds a lease and tells, in /tmp/NAME.out, what it has.
run_as() {
    user=$1
    name=$2
    shift 2
    rm -f "/tmp/$name.out"
    # shellcheck disable=SC2016 # for the client's shell to expand
    as "$user" barctl run "$@" -- sh -c 'echo "lease $BARBROKER_LEASE"; echo "size $BARBROKER_SIZE_0"; cat /proc/$$/fdinfo/$BARBROKER_FD_0; echo ready; exec sleep 1000' \
        >"/tmp/$name.out" 2>&1 &
    client=$!
    wait_until 30 "the client $name" grep -q ready "/tmp/$name.out"
}

lease_of() { sed -n 's/^lease //p' "/tmp/$1.out"; }

state_of() { barctl -o jsonl lease show "$1" | sed -n 's/.*"state":"\([a-z]*\)".*/\1/p'; }

device_field() { barctl -o jsonl device list | sed -n "s/.*\"name\":\"$1\".*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }

# The processes that hold a file of a device, by what the kernel tells of each descriptor.
holders() { grep -l "^vfio-device-syspath:.*$1" /proc/[0-9]*/fdinfo/* 2>/dev/null | cut -d/ -f3 | sort -u; }

# How often the kernel has called a function since the trace was cleared.
calls() { grep -c "$1 <-" "$trace/trace"; }

cat >/tmp/broker.json <<END
{
  "metrics": { "enabled": false },
  "devices": [
    { "name": "shm0", "kind": "vfio", "address": "$shm0" },
    { "name": "edu0", "kind": "vfio", "address": "$edu0" },
    { "name": "pair0", "kind": "vfio", "address": "$(address_of pair0)" },
    { "name": "pair1", "kind": "vfio", "address": "$(address_of pair1)" },
    { "name": "mixed0", "kind": "vfio", "address": "$(address_of mixed0)" }
  ]
}
END
check "the daemon opens four devices" start_broker

check "devices are listed" as alice barctl -o jsonl device list
expect_grep "shm0 is a vfio device that is revoked as a whole" '"name":"shm0","kind":"vfio","address":"'"$shm0"'".*"device"'
expect_grep "mixed0 is refused, naming the neighbour and its driver" '"name":"mixed0".*"unavailable".*'"$(address_of nic0)"' \(8086:100e\) with the driver e1000'

run_as alice first -d shm0 -b 2 --range 0x3000+0x1000 --range 0x0+0x2000
alice=$client
run_as bob other -d edu0 -b 0 -s 4KiB
lease=$(lease_of first)
expect_grep "alice's fd is a vfio dmabuf" 'exp_name:.vfio_pci_core' /tmp/first.out
expect_grep "of the size of her two ranges, out of order" 'size:.12288' /tmp/first.out
expect_grep "which is what the broker told her" 'size 12288' /tmp/first.out
expect_equal "only the broker holds the device file" "$broker" "$(holders "$shm0")"
check "it has opened it by the interface of this kernel that it prefers" opens_by_node "$broker" shm0

check_fails "an overlapping lease is refused" as alice barctl lease acquire -d shm0 -b 2 --range 0x1000+0x1000 --hold 1s
expect_grep "the owner's lease is named" "held by lease $lease"
check_fails "another user cannot share what is revoked as a whole" as bob barctl lease acquire -d shm0 -b 2 --range 0x10000+0x1000 --hold 1s
expect_grep "and is told whose lease it is" "serves one user at a time, now that of lease $lease"
check_fails "nor is there write-combining" as alice barctl lease acquire -d shm0 -b 2 -s 4KiB --write-combining --hold 1s
check_fails "nor read-only access" as alice barctl lease acquire -d shm0 -b 2 -s 4KiB --read-only --hold 1s

mount -t tracefs tracefs $trace 2>/dev/null
echo vfio_pci_core_enable vfio_pci_core_close_device vfio_pci_dma_buf_cleanup >$trace/set_ftrace_filter
echo function >$trace/current_tracer
check "an operator revokes alice's lease" as olga barctl lease revoke "$lease"
generation_is() { test "$(device_field "$1" generation)" = "$2"; }
check "shm0 was opened a second time" wait_until 30 "shm0" generation_is shm0 2
expect_equal "the kernel closed one device for good" 1 "$(calls vfio_pci_core_close_device)"
expect_equal "cleaned up its buffers" 1 "$(calls vfio_pci_dma_buf_cleanup)"
expect_equal "and opened one anew" 1 "$(calls vfio_pci_core_enable)"
expect_equal "in this order, on the thread of shm0" "close_device dma_buf_cleanup core_enable" \
    "$(sed -n 's/.* shm0-[0-9]* .*vfio_pci_\(core_\)\{0,1\}\(close_device\|dma_buf_cleanup\|enable\) <-.*/\2/p' $trace/trace | sed 's/^enable/core_enable/' | xargs)"
expect_equal "only the broker holds the new device file" "$broker" "$(holders "$shm0")"
expect_equal "the lease is over" ended "$(state_of "$lease")"
check "alice's command was ended" wait_until 30 "it to be gone" sh -c "! kill -0 $alice"
expect_equal "bob's lease on edu0 noticed nothing" active "$(state_of "$(lease_of other)")"
expect_equal "and edu0 was opened once" 1 "$(device_field edu0 generation)"
run_as bob second -d shm0 -b 2 --range 0x1000+0x1000
expect_equal "shm0 leases anew, to anybody" active "$(state_of "$(lease_of second)")"

run_as alice left -d pair0 -b 2 -s 1MiB
run_as bob right -d pair1 -b 2 -s 1MiB
echo >$trace/trace
check "a lease on one of two devices of a group is revoked" as olga barctl lease revoke "$(lease_of left)"
expect_equal "the kernel closed one device for good, again" 1 "$(calls vfio_pci_core_close_device)"
expect_equal "the lease on the other noticed nothing" active "$(state_of "$(lease_of right)")"
expect_equal "which was opened once" 1 "$(device_field pair1 generation)"

check_fails "no other process can have shm0" vfiocheck "$shm0"
kill -9 "$broker"
wait "$broker" 2>/dev/null
check "SIGKILL of the daemon frees shm0 at once" vfiocheck "$shm0"
check "and edu0" vfiocheck "$edu0" 0
expect_equal "nobody holds shm0" "" "$(holders "$shm0")"
check "the daemon starts again" start_broker
run_as alice after -d shm0 -b 2 -s 4KiB
expect_equal "and leases again" active "$(state_of "$(lease_of after)")"

check "a device in use can be unbound" sh -c "echo $shm0 >/sys/bus/pci/devices/$shm0/driver/unbind"
lease_is() { test "$(state_of "$1")" = "$2"; }
check "the lease on it ends" wait_until 30 "the lease" lease_is "$(lease_of after)" ended
check "it can be looked at" barctl -o jsonl lease show "$(lease_of after)"
expect_grep "because the device is lost" '"end_reason":"device_lost"'
expect_grep "which the kernel had asked for" 'the kernel asks for the device back'
echo "$shm0" >/sys/bus/pci/drivers_probe
check "bound again, it comes back by itself" wait_until 60 "shm0" sh -c "barctl -o jsonl device list | grep -q '\"name\":\"shm0\".*\"state\":\"ready\"'"

check "SIGTERM ends the daemon" kill -15 "$broker"
check "in order" wait "$broker"
check "and leaves shm0 to others" vfiocheck "$shm0"
expect_grep "whose processes cannot map a buffer on this kernel: data is seen by importing devices only" 'mmap.*EINVAL'

done_testing
