# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What becomes of leases, and of devices, when the kernel asks for a device, when it fails, is reset, unplugged, or is there only later.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe

dir=/tmp/life
mkdir -m 1777 $dir
lease0=$(address_of lease0)
shm1=$(address_of shm1)
spare0=$(address_of spare0)

cat >$dir/broker.json <<END
{
  "metrics": { "enabled": false },
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$lease0", "requestGrace": "3s" },
    { "name": "lease1", "kind": "vfio", "address": "$(address_of lease1)", "requestGrace": "10m" },
    { "name": "lease2", "kind": "vfio", "address": "$(address_of lease2)", "requestGrace": "1s" },
    { "name": "shm1", "kind": "vfio", "address": "$shm1", "requestGrace": "1s" },
    { "name": "lpair0", "kind": "vfio", "address": "$(address_of lpair0)" },
    { "name": "spare0", "kind": "vfio", "address": "$spare0" }
  ]
}
END
barbrokerd --config $dir/broker.json >$dir/broker.log 2>&1 &
device_is() { barctl -o jsonl device show "$1" | grep -q "\"state\":\"$2\""; }
check "the daemon has its devices" wait_until 120 "lease0" device_is lease0 ready
for device in lease1 lease2 shm1 lpair0; do wait_until 120 "$device" device_is $device ready; done
as alice barctl -o jsonl lease watch --mine >$dir/told 2>&1 &

now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
unbind() { echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"; }
works() { as bob barctl run -d "$1" --bar 2 --range 0x4000+0x1000 -- true; }
lease_on() { barctl -o jsonl lease list --device "$1" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p'; }
field() { barctl -o jsonl lease show "$1" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
lease_is() { test "$(field "$1" state)" = "$2"; }
told() { grep "\"id\":\"$1\"" $dir/told | grep -q "$2"; }

# hold DEVICE: alice has a lease there, mapped and written to. Its id is $lease, its process $holder.
hold() {
    rm -f "$dir/$1.in"
    mkfifo -m 666 "$dir/$1.in"
    : >"$dir/$1.out"
    as alice leaseprobe hold "$1" 2 3600 0x4000+0x2000 <>"$dir/$1.in" >"$dir/$1.out" 2>&1 &
    holder=$!
    wait_until 120 "the holder on $1" grep -q ready "$dir/$1.out"
    ask "$1" 'fill 7' 'done'
    lease=$(lease_on "$1")
}

# ask DEVICE REQUEST ANSWER: what its holder says.
ask() {
    asked=$(wc -l <"$dir/$1.out")
    echo "$2" 1<>"$dir/$1.in"
    # shellcheck disable=SC2016 # for the other shell to expand
    wait_until 120 "an answer to $2" sh -c 'test "$(wc -l <"$0")" -gt "$1"' "$dir/$1.out" "$asked"
    expect_equal "$1: its holder answers to '$2'" "$3" "$(tail -n 1 "$dir/$1.out")"
}

# lost DEVICE REASON: the holder's memory is dead.
lost() {
    ask "$1" 'try 7' "lost $2"
    echo touch 1<>"$dir/$1.in"
    holder_status=0
    wait $holder || holder_status=$?
    expect_equal "$1: touching the memory is SIGBUS" 135 "$holder_status"
}

# ---- Unbind while leased: told, revoked after the grace, and then the unbind goes on.
hold lease0
began=$(now)
check "unbind while leased" unbind "$lease0"
took=$(($(now) - began))
check "it waits for the grace of 3 s" test $took -ge 290
check "and for not much more, as slow as a guest may be" test $took -lt 3000
check "the lease's holder was told why, and for how long" wait_until 60 "the notice" \
    told "$lease" '"state":"recalled".*"recall_remaining_seconds":\(3\|2\.\).*"recall_reason":"device_lost"'
check "the lease has ended" lease_is "$lease" ended
expect_equal "because of that" device_lost "$(field "$lease" end_reason)"
lost lease0 DeviceLost
check "no driver has the device" test ! -e "/sys/bus/pci/devices/$lease0/driver"
check "the broker says so" barctl device show lease0
expect_grep "and what to do" "barctl device bind $lease0"
echo "$lease0" >/sys/bus/pci/drivers_probe
check "bound again, it is taken" wait_until 120 "lease0" device_is lease0 ready
check "and leased" works lease0

# ---- Here the grace is ten minutes. A client that lets go keeps nobody waiting.
hold lease1
unbind "$(address_of lease1)" &
unbinding=$!
check "unbind with a long grace: the lease is recalled" wait_until 60 "the recall" lease_is "$lease" recalled
check "the device is leaving" device_is lease1 leaving
ask lease1 'try 7' live
check_fails "nothing is granted on it" works lease1
expect_grep "with the reason" 'the kernel asks for the device back'
check "the unbind waits" kill -0 $unbinding
ask lease1 release Ended
began=$(now)
check "when the lease is released it ends" wait $unbinding
check "soon, and not after ten minutes" test $(($(now) - began)) -lt 6000
expect_equal "the lease was released, not lost" released "$(field "$lease" end_reason)"
echo quit 1<>$dir/lease1.in
address_of lease1 >/sys/bus/pci/drivers_probe
check "bound again, it is taken, too" wait_until 60 "lease1" device_is lease1 ready

# ---- A device of plain vfio-pci, which is revoked as a whole.
as alice barctl run --on-lost ignore -d shm1 --bar 2 --size 4KiB -- sleep 1000 >$dir/shm1.out 2>&1 &
wait_until 120 "a lease on shm1" sh -c 'barctl -o jsonl lease list --device shm1 | grep -q active'
lease=$(lease_on shm1)
check "vfio-pci: unbind while leased" unbind "$shm1"
check "the lease has ended" lease_is "$lease" ended
expect_equal "because of that, too" device_lost "$(field "$lease" end_reason)"
echo "$shm1" >/sys/bus/pci/drivers_probe
check "bound again, it is taken, as well" wait_until 60 "shm1" device_is shm1 ready

# ---- Reset while leased: what it does is told first.
hold lease1
check_status "reset: nobody can be asked, so it is refused" 2 as olga barctl device reset lease1
expect_grep "the lease that would end is named" "$lease of leaseprobe"
expect_grep "and how the device is reset" 'lease1: the kernel resets the function'
check "--dry-run tells the same" as olga barctl -o json device reset --dry-run lease1
expect_grep "in JSON" '"way": "function"'
check "the lease lives on" lease_is "$lease" active
as olga barctl device reset --yes --grace 1s lease1 >$dir/reset.out 2>&1 &
resetting=$!
check "its holder is told of the reset" wait_until 60 "the notice" told "$lease" '"state":"recalled".*"recall_reason":"device_reset"'
check "the reset is made" wait $resetting
expect_grep "and says what ended" '1 leases? ended by the reset' $dir/reset.out
expect_equal "the lease ended by it" device_reset "$(field "$lease" end_reason)"
lost lease1 DeviceReset
check "the device is leased again" works lease1

check "a device that shares its bus is not reset alone, and told so" as olga barctl -o json device reset --dry-run lpair0
expect_grep "with the one that would be hit" "\"$(address_of lpair1)\""
expect_grep "so that nothing is reset" '"way": "none"'

# ---- An uncorrectable error: everything ends at once, and nothing is leased until somebody says so.
hold lease1
check "error: the device's port reports one" host fault lease1
check "the lease ends" wait_until 120 "the end" lease_is "$lease" ended
expect_equal "because the device is lost" device_lost "$(field "$lease" end_reason)"
lost lease1 DeviceLost
check "the device is cordoned" wait_until 120 "the cordon" device_is lease1 cordoned
check_fails "it is not leased" works lease1
expect_grep "the refusal says why, and what to do" 'reported an error: .*barctl device reset lease1'
check "the operator resets it" as olga barctl device reset lease1
check "it is ready" device_is lease1 ready
check "and leased" works lease1

# ---- Hot-unplug while leased, and plugged in again.
hold lease2
check "unplug while leased" host unplug lease2
check "the lease is recalled, and ends" wait_until 120 "the end" lease_is "$lease" ended
expect_equal "because the device is gone" device_lost "$(field "$lease" end_reason)"
lost lease2 DeviceLost
check "the device goes" wait_until 120 "the device to go" is_absent "$(address_of lease2)"
check "the broker sees that" wait_until 120 "the refusal" sh -c 'barctl device show lease2 | grep -q "There is no PCI device"'
check "plugged in again" plug lease2
check "it is taken" wait_until 60 "lease2" device_is lease2 ready
check "and leased" works lease2

# ---- A device that no driver of vfio had when the broker was started. By now it is tried only now and then.
check "later: a device without a driver is unavailable" device_is spare0 unavailable
echo vfio-pci >"/sys/bus/pci/devices/$spare0/driver_override"
echo "$spare0" >/sys/bus/pci/drivers_probe
check "it is taken as soon as it has one" wait_until 15 "spare0" device_is spare0 ready

expect_equal "no lease was ever stuck" 0 "$(grep -c "is stuck" $dir/broker.log)"
done_testing
