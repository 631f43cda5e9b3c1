# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A pool over BAR 2 of two devices of vfio-bar-lease: slots of two buffers each, first come first served, scrubbed between owners by writes to the device, and nobody else's.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe

dir=/tmp/pools
mkdir -m 1777 $dir

# A page of "registers" every 64 KiB and the rest of the 64 KiB as its memory, two of them on each device; then a large slot on lease0, to see what scrubbing takes.
cat >$dir/broker.json <<END
{
  "metrics": { "enabled": false },
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" },
    { "name": "lease1", "kind": "vfio", "address": "$(address_of lease1)" }
  ],
  "pools": [
    { "name": "queues", "devices": "lease?", "count": 2, "scrub": "0xa5a5a5a5",
      "buffers": [ { "bar": 2, "offset": "1MiB", "size": "4KiB", "stride": "64KiB" }, { "bar": 2, "offset": "1028KiB", "size": "60KiB", "stride": "64KiB" } ] },
    { "name": "large", "devices": "lease0", "scrub": "0x00000000", "count": 1, "buffers": [ { "bar": 2, "offset": "32MiB", "size": "4MiB" } ] },
    { "name": "huge", "buffers": [ { "bar": 2, "offset": "32MiB", "size": "64MiB" } ], "devices": "lease1" }
  ]
}
END
barbrokerd --config $dir/broker.json >$dir/broker.log 2>&1 &
broker=$!
ready() { test "$(barctl -o jsonl device list | grep -c '"state":"ready"')" = 2; }
check "the daemon has two devices" wait_until 60 "the devices" ready

check "what does not fit is not served" barctl pool show huge
expect_grep "and it is told why" '^not served +by lease1: BAR 2 has 64 MiB, and the pool begins at 0x2000000 with 64 MiB'
check_fails "nor leased" as alice barctl lease acquire -p huge

# hold NAME USER: holds any slot until it is killed, or waits for one.
hold() { as "$2" barctl -o jsonl lease acquire -p queues --wait 60s --ttl 10m --label "name=$1" >"$dir/$1.out" 2>&1 & }
end() { kill "$(barctl -o jsonl lease list --label "name=$1" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')"; }
slot_of() { barctl -o jsonl lease list --label "name=$1" | sed -n 's/.*"device":"\([^"]*\)".*"slot":\([0-9]*\).*/\1 \2/p'; }
has() { test "$(slot_of "$1")" = "$2"; }

expect_equal "before anybody had it, a slot is scrubbed" "lease0 slot 0" "$(as alice leaseprobe slot queues >$dir/first.out && sed -n '1s/ acquired.*//p' $dir/first.out)"
expect_grep "its registers" '^buffer of 4096 bytes at 0x100000\+0x1000: all 0xa5a5a5a5$' $dir/first.out
expect_grep "and its memory" '^buffer of 61440 bytes at 0x101000\+0xf000: all 0xa5a5a5a5$' $dir/first.out
check "somebody else gets the same slot" as bob leaseprobe slot queues
expect_grep "and sees nothing of what the one before has left in its registers" '^buffer of 4096 .*: all 0xa5a5a5a5$'
expect_grep "nor in its memory" '^buffer of 61440 .*: all 0xa5a5a5a5$'

hold one alice
check "the first gets slot 0" wait_until 60 "a slot" has one "lease0 0"
hold two bob
check "the second slot 1" wait_until 60 "a slot" has two "lease0 1"
hold three alice
check "the third is on the other device" wait_until 60 "a slot" has three "lease1 0"
hold four bob
check "and so is the fourth" wait_until 60 "a slot" has four "lease1 1"
check_fails "then there is none" as alice barctl lease acquire -p queues
expect_grep "which is said" 'pool queues on lease0 has no free slot'
hold five alice
queued() { test "$(barctl -o jsonl lease queue | grep -c '"pool":"queues"')" = 2; }
check "the fifth waits for both devices" wait_until 60 "the queue" queued
end three
check "and gets the slot of the one that ends" wait_until 60 "a slot" has five "lease1 0"

check_status "a range that reaches into the pool is refused" 5 as alice barctl lease acquire -d lease0 --bar 2 --range 0x110000+0x1000
expect_grep "by the pool's name" 'reaches into slot 1 of pool queues, which has \[0x110000, \+0x1000\)'
check "what is no pool's is leased without one" as alice barctl run -d lease0 --bar 2 --range 0x0+0x100000 -- true
check "the pools are told" barctl pool list
cat /tmp/check.out

check "4 MiB are scrubbed" as bob leaseprobe slot large
sed 's/^/# /' /tmp/check.out
check "and are again" as bob leaseprobe slot large
expect_grep "with nothing of the owner before" '^buffer of 4194304 .*: all 0x00000000$'
sed 's/^/# /' /tmp/check.out

for name in one two four five; do end $name; done
none() { test -z "$(barctl -o jsonl lease list)"; }
check "all slots are given back" wait_until 60 "no leases" none
kill $broker
check "the daemon ends well" wait $broker
done_testing
