# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What a driver that imports a buffer and does not let go does to the broker: that lease is stuck, its range quarantined, and nothing else is held up. When the importer lets go,
# the lease ends by itself. On vfio-bar-lease, and on plain vfio-pci, where it holds up its own device.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl importctl matrixhold

dir=/tmp/stuck
mkdir -m 1777 $dir
chmod 666 /dev/barbroker-importer

cat >$dir/broker.json <<END
{
  "metrics": { "enabled": false },
  "leases": { "revokeTimeout": "2s", "escalation": { "cordon": "never" } },
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" },
    { "name": "lease1", "kind": "vfio", "address": "$(address_of lease1)" },
    { "name": "shm0", "kind": "vfio", "address": "$(address_of shm0)" },
    { "name": "shm1", "kind": "vfio", "address": "$(address_of shm1)" }
  ]
}
END
barbrokerd --config $dir/broker.json >$dir/broker.log 2>&1 &
broker=$!
all_ready() { barctl -o jsonl device list | grep -c '"state":"ready"' | grep -qx 4; }
check "the daemon has four devices" wait_until 60 "the devices" all_ready

field() { barctl -o jsonl lease show "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
lease_is() { test "$(field "$1" state)" = "$2"; }
quarantined() { barctl -o jsonl device list | sed -n "s/.*\"name\":\"$1\".*\"index\":2,[^}]*\"quarantined\":\([0-9]*\).*/\1/p"; }
works() { as bob barctl run -d "$1" --bar 2 --range "$2" -- true; }

# import DEVICE: alice leases a page, and has it imported by one who does not let go when told. The lease is $lease.
import() {
    # One of before may live on, and reads its FIFO.
    rm -f "$dir/$1.in" "$dir/$1.out"
    mkfifo -m 666 "$dir/$1.in"
    # shellcheck disable=SC2016 # for the client's shell to expand
    as alice barctl run --on-lost ignore -d "$1" --bar 2 --range 0x4000+0x1000 -- \
        sh -c 'echo "lease $BARBROKER_LEASE"; exec importctl "fd b $BARBROKER_FD_0" "attach i b" "mode i hold" "map i" - <>"$0"' "$dir/$1.in" >"$dir/$1.out" 2>&1 &
    wait_until 30 "the importer on $1" grep -qx 'map i: ok' "$dir/$1.out" || fail "the importer maps" "it does not" "$dir/$1.out"
    lease=$(sed -n 's/^lease //p' "$dir/$1.out")
}

order() { echo "$2" 1<>"$dir/$1.in"; }
says() { grep -Eq "$2" "$dir/$1.out"; }

# becomes_stuck DEVICE
becomes_stuck() {
    check_status "$1: revoking says that it is stuck" 6 as olga barctl lease revoke "$lease"
    expect_equal "$1: the lease is stuck" stuck "$(field "$lease" state)"
    check "$1: barctl lists it" barctl lease list
    expect_grep "$1: as stuck" "^$lease +$1 .* stuck +operator"
    expect_equal "$1: its range is quarantined" 4096 "$(quarantined "$1")"
    order "$1" 'status i'
    check "$1: the importer was told, and has it mapped" wait_until 10 "its status" says "$1" '^status i: ok attached 1 mapped 1 told 1 '
    check_fails "$1: nobody else gets the range" works "$1" 0x4000+0x1000
}

# ends_by_itself DEVICE: after the importer let go.
ends_by_itself() {
    order "$1" 'unmap i'
    check "$1: when the importer has let go, the lease ends by itself" wait_until 90 "the end of $lease" lease_is "$lease" ended
    expect_equal "$1: for its first reason" operator "$(field "$lease" end_reason)"
    order "$1" 'map i'
    check "$1: the importer cannot map it again" wait_until 10 "its answer" says "$1" '^map i: ENODEV'
    expect_equal "$1: nothing is quarantined" 0 "$(quarantined "$1")"
    check "$1: somebody else gets the range" works "$1" 0x4000+0x1000
}

import lease0
becomes_stuck lease0
check "another lease of this device comes and goes" works lease0 0x8000+0x1000
check "one of another device does" works lease1 0x4000+0x1000
check "and one of a device of vfio-pci" works shm0 0x4000+0x1000
ends_by_itself lease0

import shm0
becomes_stuck shm0
check "one of another device of vfio-pci comes and goes" works shm1 0x4000+0x1000
check "and one of vfio-bar-lease" works lease0 0x4000+0x1000
ends_by_itself shm0

# The worst time for it: the daemon dies meanwhile, and another begins.
import lease0
becomes_stuck lease0
kill -9 $broker
order lease0 'unmap i'
wait $broker 2>/dev/null
barbrokerd --config $dir/broker.json >>$dir/broker.log 2>&1 &
check "a daemon that was killed with a stuck lease is followed by another" wait_until 60 "the devices" all_ready
check "which leases that range" works lease0 0x4000+0x1000
done_testing
