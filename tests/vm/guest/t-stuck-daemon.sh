# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What a thread that the kernel keeps means for the daemon: other devices are served as fast as before; the daemon can be stopped, and the next one serves all other devices at once and
# takes that one when the kernel lets go; a daemon that is killed is followed by another, too, and what it held comes back when the kernel lets go. And the client that
# holds on is killed where the configuration says so.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl importctl leaseprobe

dir=/tmp/stuck
mkdir -m 1777 $dir
chmod 666 /dev/barbroker-importer

# configure ESCALATION
configure() {
    cat >$dir/broker.json <<END
{
  "metrics": { "address": "127.0.0.1:9464" },
  "leases": { "revokeTimeout": "2s", "escalation": $1 },
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" },
    { "name": "lease1", "kind": "vfio", "address": "$(address_of lease1)" },
    { "name": "shm1", "kind": "vfio", "address": "$(address_of shm1)" }
  ]
}
END
}

# start NUMBER: a daemon that logs to $dir/NUMBER.log. Its process is $broker.
start() {
    log=$dir/$1.log
    barbrokerd --config $dir/broker.json >"$log" 2>&1 &
    broker=$!
}

field() { barctl -o jsonl lease show "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
lease_is() { test "$(field "$1" state)" = "$2"; }
device() { timeout 10 barctl -o jsonl device list | grep "\"name\":\"$1\""; }
device_is() { device "$1" | grep -q "\"state\":\"$2\""; }
all_ready() { device_is lease0 ready && device_is lease1 ready && device_is shm1 ready; }
# A daemon that was killed, and is kept by the kernel, has its sockets still: whoever connects waits for ever.
answers() { timeout 10 barctl -o jsonl device list; }
works() { as bob barctl run -d "$1" --bar 2 --range 0x4000+0x1000 -- true; }
says() { grep -q "$1" "$log"; }
# is_over PROCESS: it is there, and runs no code of its own any more: it has no memory. It is no zombie when it is its first thread that the kernel keeps: the last one to end closes the files, whichever that is.
is_over() { test -e "/proc/$1/status" && ! grep -q '^VmSize:' "/proc/$1/status"; }
# threads PROCESS: what each one is at, for whoever looks into a failure.
threads() { for thread in "/proc/$1/task"/*; do echo "# $(cat "$thread/comm"): $(sed -n 's/^State:\s*//p' "$thread/status"), $(head -n 3 "$thread/stack" | xargs)"; done; }
order() { echo "$1" 1<>$dir/importer.in; }

# import: alice leases a page of lease0, and has it imported by one who does not let go when told. The lease is $lease.
import() {
    rm -f $dir/importer.*
    mkfifo -m 666 $dir/importer.in
    # shellcheck disable=SC2016 # for the client's shell to expand
    as alice barctl run --on-lost ignore -d lease0 --bar 2 --range 0x4000+0x1000 -- \
        sh -c 'echo "lease $BARBROKER_LEASE"; exec importctl "fd b $BARBROKER_FD_0" "attach i b" "mode i hold" "map i" - <>"$0"' $dir/importer.in >$dir/importer.out 2>&1 &
    wait_until 60 "the importer" grep -qx 'map i: ok' $dir/importer.out || fail "the importer maps" "it does not" $dir/importer.out
    lease=$(sed -n 's/^lease //p' $dir/importer.out)
}

# seconds: what 60 leases of lease1 take.
seconds() { leaseprobe churn lease1 2 60 | sed -n 's/.* errors 0 seconds \([0-9.]*\):.*/\1/p'; }

configure '{ "cordon": "never" }'
start first
check "the daemon has three devices" wait_until 120 "the devices" all_ready

# ---- Other devices go on
seconds >/dev/null
free=$(seconds)
import
check_status "revoking says that it is stuck" 6 as olga barctl lease revoke "$lease"
stuck=$(seconds)
echo "# 60 leases of another device: $free s, and $stuck s beside a device that is stuck"
check "leases of another device take about as long as before" awk -v free="$free" -v stuck="$stuck" 'BEGIN { exit !(free > 0 && stuck > 0 && stuck < 4 * free + 2) }'

# ---- Stopped
kill $broker
check "the daemon stops, with a thread stuck in the kernel" wait_until 60 "its last words" says 'BrokerHost\[406\] Stopped'
check "and is over but for that thread" wait_until 60 "the end of process $broker" is_over "$broker" || threads "$broker"
before=$broker
start second
check "another one follows at once" wait_until 60 "an answer" answers
check "and serves the other devices" wait_until 60 "the devices" eval 'device_is lease1 ready && device_is shm1 ready'
check "one of them is leased" works lease1
check "the other one, too" works shm1
check "the device that is stuck is not there" device_is lease0 unavailable
# Either the device can be asked for and is refused, or the kernel keeps whoever asks waiting, by which of its files the thread is closing.
check "for this reason" wait_until 60 "the reason" eval 'device lease0 | grep -E "held by process '$before' \(barbrokerd\), which has ended but for a thread that the kernel keeps|the kernel has not answered yet"'
order 'unmap i'
check "when the kernel has let go, it is taken" wait_until 90 "lease0" device_is lease0 ready
check "and leased" works lease0

# ---- Killed
import
check_status "stuck again" 6 as olga barctl lease revoke "$lease"
before=$broker
kill -9 $broker
configure '{ "cordon": "0s", "kill": "3s" }'
start third
check "a daemon that is killed with a thread stuck in the kernel is followed by another" wait_until 60 "an answer" answers
check "which says so" says "BrokerHost\[409\].*process $before"
# The thread that ends last closes the files by their numbers until it comes to the one that keeps it. What comes before that is free already.
check "and that it has no metrics, unless the first one has let go of their port" eval 'says "BrokerHost\[410\].*process '$before'" || busybox wget -q -O /dev/null http://127.0.0.1:9464/metrics'
check "the device that is stuck cannot be leased yet" wait_until 60 "lease0" device_is lease0 unavailable
if device_is lease1 unavailable; then
    pass "nor can what the first one holds, too"
    check "for this reason" wait_until 60 "the reason" eval 'device lease1 | grep -E "held by process '$before' \(barbrokerd\), which has ended but for a thread that the kernel keeps|the kernel has not answered yet"'
else
    check "what the first one has let go of is there" wait_until 60 "lease1" device_is lease1 ready
    check "and leased" works lease1
fi
order 'unmap i'
check "when the kernel has let go, all devices are taken" wait_until 120 "the devices" all_ready
check "and leased" works lease0
check "the other ones, too" works lease1

# ---- The client that holds on is killed
import
holder=$(field "$lease" pid)
check_status "stuck once more" 6 as olga barctl lease revoke "$lease"
check "the device is cordoned meanwhile, or the lease has ended already" eval 'device lease0 | grep "\"cause\":\"stuck\"" || lease_is "$lease" ended'
check "the client is killed, and the lease ends" wait_until 120 "the end of $lease" lease_is "$lease" ended
check "for that reason" says "ClientKiller\[204\].*Process $holder "
check "and that is kept" eval 'barctl -o jsonl lease show "$lease" | grep "\"step\":\"kill\",\"outcome\":\"done\""'
check "nothing is cordoned" device_is lease0 ready
check "and somebody else gets the range" works lease0
done_testing
