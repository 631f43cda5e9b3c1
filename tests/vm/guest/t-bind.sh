# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# barctl device bind and unbind on real devices: what is free goes and comes back, what is in use is left alone, with the reason.
# shellcheck source=/dev/null
. lab.sh
needs barctl barbrokerd vfiohold

best=vfio-pci
[ ! -e /sys/bus/pci/drivers/vfio-bar-lease ] || best=vfio-bar-lease
driver() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" || echo none)"; }
rules=/etc/udev/rules.d/70-barbroker.rules
interface() { ls "/sys/bus/pci/devices/$nic/net"; }

# A device without a driver.
spare=$(address_of spare0)
check "a dry run says what would be done" as alice barctl device bind "$spare" --dry-run
expect_grep "and with which driver" "^$spare \(1af4:1110\) would go from no driver to $best"
check_status "a user may not do it" 5 as alice barctl device bind "$spare"
expect_equal "and nothing has changed" none "$(driver "$spare")"
check "spare0 is bound, by its short address" barctl device bind "${spare#0000:}"
expect_equal "to the best driver there is" "$best" "$(driver "$spare")"
check "a second time changes nothing" barctl device bind "$spare"
expect_grep "and says so" "stays with $best"
check "vfio-pci can be asked for" barctl device bind "$spare" --driver vfio-pci
expect_equal "and is what it has" vfio-pci "$(driver "$spare")"
if [ "$best" = vfio-bar-lease ]; then
    check "without being asked, barctl prefers the driver that revokes" barctl -o json device bind "$spare"
    expect_grep "and says what was before" '"previous_driver": "vfio-pci"'
else
    skip "vfio-bar-lease is preferred" "the lab has no module vfio-bar-lease"
fi
check "it opens" vfiocheck "$spare"
check "it is unbound" barctl device unbind "$spare"
expect_grep "no driver takes it" 'no driver that is loaded takes it'
expect_equal "it has none" none "$(driver "$spare")"
expect_equal "and no override" '(null)' "$(cat "/sys/bus/pci/devices/$spare/driver_override")"
check_fails "a driver that does not exist" barctl device bind "$spare" --driver vfio-nonsense
expect_grep "is named" 'no PCI driver vfio-nonsense'
check_fails "a driver that does not want it" barctl device bind "$spare" --driver nvme
expect_grep "is told, and what was before is back" 'it is without a driver again'
expect_equal "also in sysfs" '(null)' "$(cat "/sys/bus/pci/devices/$spare/driver_override")"

# A network card, and who shares its group.
nic=$(address_of nic0)
mixed=$(address_of mixed0)
check "the interface of nic0 is up" ip link set "$(interface)" up
check_status "a configured network card is left alone" 1 barctl device bind "$nic"
expect_grep "why, and what to do" "the network interface eth0 is up: .ip link set eth0 down."
expect_equal "it has its driver" e1000 "$(driver "$nic")"
ip address add 10.9.0.1/24 dev eth0
ip link set eth0 down
check_status "an address is enough" 1 barctl device bind "$nic"
expect_grep "it is named" 'has the address 10.9.0.1'
ip address flush dev eth0
check "mixed0 goes to another vfio driver and back" barctl device bind "$mixed" --driver vfio-pci
expect_grep "with a warning of nic0" "warning: $mixed cannot be opened yet: .*$nic \(8086:100e\) with the driver e1000"
check "nic0 is free now" barctl device bind "$nic"
expect_equal "it has the vfio driver" "$best" "$(driver "$nic")"
check "mixed0 can be opened now" vfiocheck "$mixed"
check "nic0 is given back" barctl -o jsonl device unbind "$nic"
expect_grep "to its native driver" "\"result\":\"unbound\",\"driver\":\"e1000\",\"previous_driver\":\"$best\""
check "its interface is there again" wait_until 20 "the interface" interface

# A disk.
disk=$(address_of disk0)
modprobe -a nvme vfat nls_cp437 nls_ascii nls_utf8
node=/dev/nvme0n1
check "disk0 is a disk" wait_until 30 "$node" test -b $node
check "it gets a file system" mkdosfs $node
mkdir -p /mnt/disk
check "which is mounted" mount -t vfat $node /mnt/disk
check_status "a mounted disk is left alone" 1 barctl device bind "$disk"
expect_grep "why, and what to do" "$node is mounted on /mnt/disk: .umount /mnt/disk."
unshare -m sh -c 'touch /tmp/unshared; exec sleep 600' &
other=$!
wait_until 20 "the other namespace" test -e /tmp/unshared
umount /mnt/disk
check_status "also when only another mount namespace has it" 1 barctl device bind "$disk"
expect_grep "which nothing but the kernel tells" "$node is in use by the kernel"
kill $other
wait $other 2>/dev/null
mkswap $node >/dev/null
swapon $node
check_status "swap is left alone" 1 barctl device bind "$disk"
expect_grep "and called so" "$node is swap"
swapoff $node
sh -c 'exec 3<"$0"; touch /tmp/opened; exec sleep 600' $node &
reader=$!
wait_until 20 "the reader" test -e /tmp/opened
check_status "a disk that a process reads is left alone" 1 barctl device bind "$disk"
expect_grep "the process is named" "$node is open in process $reader \(sleep\)"
kill $reader
wait $reader 2>/dev/null
check "a disk that nobody uses is bound" barctl device bind "$disk"
check "and given back" barctl device unbind "$disk"
expect_grep "to nvme" 'given back to nvme'
check "it is a disk again" wait_until 30 "$node" test -b $node

# In use through vfio.
shm=$(address_of shm0)
vfiohold "$shm" 120 >/tmp/hold.out 2>&1 &
holder=$!
check "shm0 is held" wait_until 30 "vfiohold to have it" grep -q held /tmp/hold.out
check_status "a device that a process has open is not unbound" 1 barctl device unbind "$shm"
expect_grep "the process is named" "in use through vfio by process $holder \(vfiohold\)"
kill -9 $holder
wait $holder 2>/dev/null
check "when it has ended, it is" barctl device unbind "$shm"
check "and bound again" barctl device bind "$shm" --driver vfio-pci

# In use by the broker, and what an unbind that does not end looks like.
export BARBROKER_RUNTIME_DIR=/run/barbroker
shm1=$(address_of shm1)
cat >/tmp/broker.json <<END
{ "metrics": { "enabled": false }, "devices": [ { "name": "card", "kind": "vfio", "address": "$shm1" } ] }
END
state() { barctl -o jsonl device show card | sed -n 's/.*"state":"\([a-z]*\)".*/\1/p'; }
is_ready() { [ "$(state)" = ready ]; }
barbrokerd --config /tmp/broker.json >/tmp/broker.log 2>&1 &
broker=$!
check "the broker serves shm1 as card" wait_until 60 "the broker's device" is_ready
check "it tells the driver" barctl device show card
expect_grep "by name" '^driver +vfio-pci$'
check_status "what the broker serves is not unbound" 1 barctl device unbind card --config /tmp/broker.json
expect_grep "what to do is said" "the broker \(process $broker\) serves it as card, with 0 leases: .barctl device drain card. first"
check "it is drained" barctl device drain card
check "then it is unbound" barctl device unbind card --config /tmp/broker.json
expect_grep "by its name" "^card \($shm1, 1af4:1110\) unbound from vfio-pci"
check "and bound again, by its name" barctl device bind card --config /tmp/broker.json --driver vfio-pci
check "leases are granted again" barctl device uncordon card
check "and the broker has it again" wait_until 60 "the broker's device" is_ready
check "it is drained again" barctl device drain card

# barctl looks at the device after it has loaded modules; so a modprobe that waits lets the broker be stopped between barctl's question and the unbind.
mkdir -p /tmp/slow
mkfifo /tmp/go
printf '#!/bin/sh\ncat /tmp/go >/dev/null\n' >/tmp/slow/modprobe
chmod +x /tmp/slow/modprobe
modprobe pci-stub
PATH=/tmp/slow:$PATH barctl device bind "$shm1" --driver pci-stub >/tmp/stuck.out 2>&1 &
stuck=$!
check "barctl loads modules" wait_until 30 "modprobe" pidof cat
kill -STOP $broker
echo >/tmp/go
check "an unbind that waits is told, with the one it waits for" wait_until 30 "barctl to say so" \
    grep -q "the kernel has not finished .*vfio-pci/unbind; .* perhaps process $broker (barbrokerd)" /tmp/stuck.out
# A shell without job control starts programs that ignore SIGINT; barctl does with both the same.
kill -TERM $stuck
check "a signal, or Ctrl-C, tells how things stand" wait_until 30 "barctl to say so" grep -q "interrupted. $shm1 has no driver, and its driver_override is 'pci-stub'" /tmp/stuck.out
kill -CONT $broker
status=0
wait $stuck || status=$?
expect_equal "barctl ends by the signal when the kernel is done" 143 $status
wait_until 30 "the unbind" test ! -e "/sys/bus/pci/devices/$shm1/driver"
check "the opposite command cleans up" barctl device unbind "$shm1"
expect_equal "no override is left" '(null)' "$(cat "/sys/bus/pci/devices/$shm1/driver_override")"
kill $broker
wait $broker

# For each boot.
check "a device is bound for each boot" barctl device bind "$spare" --persist
expect_grep "and said to be" 'at each boot, too'
expect_grep "a udev rule has its address, ids and driver" \
    "^ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"$spare\", ATTR\{vendor\}==\"0x1af4\", ATTR\{device\}==\"0x1110\", ATTR\{driver_override\}=\"$best\", RUN\+=\"/.*barctl device bind $spare\"" $rules
check "given back, it is warned of" barctl device unbind "$spare"
expect_grep "that it comes again" 'again at the next boot'
check "as the rule does at boot" sh -c "echo $best >/sys/bus/pci/devices/$spare/driver_override; barctl device bind $spare"
expect_equal "it is bound" "$best" "$(driver "$spare")"
check "and never again" barctl device unbind "$spare" --persist
check "the file is gone with the last line" test ! -e $rules

# Bridges, and devices that are not there.
check_status "a bridge is left alone" 1 barctl device bind 00:10.0
expect_grep "it is called one" 'is a PCI bridge'
check_status "a device that is not there" 1 barctl device bind ff:00.0
expect_grep "is named" 'no such PCI device'
check_status "a name that is not in the configuration" 4 barctl device bind nobody --config /tmp/broker.json
check_status "names without a configuration" 2 barctl device bind nobody
expect_grep "its file is named" '/etc/barbroker/broker.json'
check_status "one of two" 1 barctl -o json device bind ff:00.0 "$spare"
expect_grep "the other one is bound" '"result": "bound"'
done_testing
