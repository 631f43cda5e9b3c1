# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2016 # for the commands to expand
# The demo on real VFIO devices, as `make lab` shows it. Each step is checked, and the demo fails with the first one that is not true.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl

title() { printf '\n--- %s\n' "$*"; }

# show COMMAND...: as it would look on a terminal.
show() {
    printf '$ %s\n' "$*"
    "$@"
}

mkdir -p /etc/barbroker /tmp/demo
cat >/etc/barbroker/broker.json <<END
{
  "devices": [
    { "name": "shm0", "kind": "vfio", "address": "$(address_of shm0)" },
    { "name": "nvme0", "kind": "vfio", "address": "$(address_of nvme0)" }
  ]
}
END

title "a broker with two VFIO devices, run by root; clients are alice and bob"
barbrokerd >/tmp/demo/log 2>&1 &
daemon=$!
wait_until 30 "the broker" test -S /run/barbroker/admin.sock
wait_until 30 "both devices to be ready" sh -c 'test "$(barctl device list | grep -c ready)" = 2'
show barctl device list

title "alice leases two ranges of shm0, out of order, and looks at her fd"
as alice barctl run --device shm0 --bar 2 --range 0x3000+0x1000 --range 0x0+0x2000 --ttl 4s -- \
    sh -c 'env | grep BARBROKER_ | sort; cat /proc/self/fdinfo/$BARBROKER_FD_0; exec sleep 1000' >/tmp/demo/alice 2>&1 &
alice=$!
wait_until 30 "alice's lease" grep -q exp_name /tmp/demo/alice
cat /tmp/demo/alice
check "it is a dmabuf of vfio-pci, of exactly 0x3000 bytes" grep -q '^size:.12288$' /tmp/demo/alice
show barctl device show shm0

title "another process of alice asks for bytes that she has; bob asks for others of the same device"
check_fails "the first is refused" as alice barctl run --device shm0 --bar 2 --range 0x1000+0x1000 -- true
cat /tmp/check.out
check_fails "so is the second" as bob barctl run --device shm0 --bar 2 --range 0x8000+0x1000 -- true
cat /tmp/check.out

title "alice hangs (SIGSTOP), her lease expires, the device is closed and opened again, bob leases the same bytes"
owner=$(barctl lease list -o jsonl | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
kill -STOP "$owner"
wait_until 60 "the end of her lease" sh -c 'test -z "$(barctl lease list -o jsonl)"'
check "bob gets them" as bob barctl run --device shm0 --bar 2 --range 0x0+0x4000 -- sh -c 'echo "bob has lease $BARBROKER_LEASE, epoch $BARBROKER_EPOCH"'
cat /tmp/check.out
show barctl device show shm0
kill -CONT "$owner"
wait "$alice"
echo "alice's barctl, awake again, ended with $?"

title "the broker is killed (SIGKILL) while bob has a lease of nvme0: the kernel takes everything back at once"
as bob barctl run --device nvme0 --size 64KiB --bar 2 -- sleep 1000 >/tmp/demo/bob 2>&1 &
wait_until 30 "bob's lease" sh -c 'barctl lease list -o jsonl | grep -q nvme0'
show barctl lease list
kill -9 $daemon
wait $daemon
check "another program can open the device" vfiocheck "$(address_of nvme0)" 2
grep -E '^(viable|size|exp_name)' /tmp/check.out

done_testing
