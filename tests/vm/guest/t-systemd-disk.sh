# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The disk of the journal gets full, and read-only, while clients hold leases of a real device, and the daemon is killed and started on it; at last the machine is rebooted without a warning. Leases go on, new
# ones are granted, it is said what is wrong, and nothing is believed from before a reboot.
# lab: reboots
# shellcheck source=/dev/null
. lab.sh
. systemd.sh
. faults.sh
needs barbrokerd barctl leaseprobe matrixhold

# ---- After the reboot, see the end.
if [ -e /var/lib/lab-rebooted ]; then
    # shellcheck source=/dev/null
    . /var/lib/lab-rebooted
    check "reboot: the daemon is there by itself" wait_until 120 "the daemon" barctl status
    check "reboot: the device serves" wait_until 120 lease0 device_is lease0 ready
    barctl -o jsonl lease list >/tmp/list
    expect_equal "reboot: no lease is listed" "" "$(cat /tmp/list)"
    all_ended() { [ "$(barctl -o jsonl history -n 0 -k ended | grep -c broker_restart)" -ge "$(wc -l </var/lib/lab-leases)" ]; }
    check "reboot: the leases end" wait_until 60 "the history" all_ended
    ended=0
    for id in $(cat /var/lib/lab-leases); do
        barctl -o jsonl history -l "$id" -k ended >/tmp/ended
        if [ "$(grep -c broker_restart /tmp/ended)" = 1 ] && [ "$(wc -l </tmp/ended)" = 1 ]; then ended=$((ended + 1)); else fail "reboot: $id has ended once" "not with BROKER_RESTART" /tmp/ended; fi
    done
    expect_equal "reboot: all leases from before have ended, with BROKER_RESTART" "$(wc -w </var/lib/lab-leases)" "$ended"
    expect_grep "reboot: and the record says why" 'the machine was restarted' /tmp/ended
    expect_equal "reboot: nothing was kept" 0 "$(said | grep -c 'not believed')"
    well reboot
    check "reboot: a new lease is granted" barctl run -d lease0 --bar 2 --range 0x10000+0x1000 -- true
    done_testing
fi

start_serving

# ---- The disk, one of its own: nothing of the system shall be full. The daemon's files are moved to it while it does not run.
node=/dev/nvme0n1
driver=/sys/bus/pci/devices/$(address_of disk0)/driver_override
modprobe -a nvme ext4
echo nvme >"$driver" && { address_of disk0 >/sys/bus/pci/drivers_probe || true; }
check "there is a disk" wait_until 30 $node test -b $node
check "with a file system" mkfs.ext4 -q -F $node

hold_all
fault "another disk" <<END
mkdir -p /run/state && cp -a $state/. /run/state/ && outside mount -t ext4 -o errors=remount-ro $node $state
chown barbroker:barbroker $state && chmod 0700 $state && cp -a /run/state/. $state/
END
all_go_on "another disk"
expect_equal "another disk: the journal is on it" $node "$(findmnt -n -o SOURCE -T $state/journal.db)"

warns() { barctl status >$dir/status 2>&1; grep -Eq -- "$1" $dir/status; }
is_quiet() { ! warns 'is not written'; }
# grants NAME: a lease of its own place, and back.
grants() { check "$1: a new lease is granted" barctl run -d lease0 --bar 2 --range 0x3000000+0x10000 -- true; }
grants_and_warns() {
    barctl run -d lease0 --bar 2 --range 0x3000000+0x10000 -- true
    warns 'is not written: the disk is full'
}

hold_all
dd if=/dev/zero of=$state/filler bs=4096 status=none 2>/dev/null
grants "the disk gets full"
check "the disk gets full: barctl status says so" wait_until 60 "it" grants_and_warns
check "the disk gets full: so does the log" has_said 'cannot be used: the disk is full'
ill "the disk gets full" journal 'is not written: the disk is full'
can_serve "the disk gets full"
consistent "the disk gets full"
fault "started on a full disk" <<END
END
all_go_on "started on a full disk"
grants "started on a full disk"
check "started on a full disk: barctl status says so" wait_until 60 "it" warns 'is not written: the disk is full'
ill "started on a full disk" journal 'is not written: the disk is full'
can_serve "started on a full disk"
rm $state/filler
check "there is room again: nothing is amiss" wait_until 60 "the journal" is_quiet
well "there is room again"

# As the kernel does it when a disk fails.
hold_all
check "the disk has an error" sh -c 'echo 1 >/sys/fs/ext4/nvme0n1/trigger_fs_error'
check_fails "and is read-only by that" touch $state/it
grants "the disk is read-only"
check "the disk is read-only: barctl status says so" wait_until 60 "it" warns 'is not written: .*[Rr]ead-only'
ill "the disk is read-only" journal 'is not written: .*[Rr]ead-only'
can_serve "the disk is read-only"
consistent "the disk is read-only"
fault "started on a disk that is read-only" <<END
END
all_go_on "started on a disk that is read-only"
grants "started on a disk that is read-only"
check "started on a disk that is read-only: barctl status says so" wait_until 60 "it" warns 'is not written: .*[Rr]ead-only'
ill "started on a disk that is read-only" journal 'is not written: .*[Rr]ead-only'
can_serve "started on a disk that is read-only"
fault "a good disk again" <<END
outside sh -c 'mkdir /run/now && cp -a $state/. /run/now/ && umount -l $state && rm -f $state/journal* && cp -a /run/now/. $state/'
END
all_go_on "a good disk again"
check "a good disk again: nothing is amiss" wait_until 60 "the journal" is_quiet
well "a good disk again"
barctl -o jsonl history -l "$(cat $dir/h1.lease)" >$dir/history
expect_grep "a good disk again: the history has the leases" '"kind": ?"granted"' $dir/history
serves "a good disk again"

# ---- A reboot, sudden: nobody ends anything. What comes after it is at the beginning.
hold_all
barctl -o jsonl lease list | grep -o '"id":"[^"]*"' | cut -d'"' -f4 >/var/lib/lab-leases
expect_equal "before the reboot there are leases" "$(echo $holders | wc -w)" "$(wc -l </var/lib/lab-leases)"
set | grep '^lab_' >/var/lib/lab-rebooted
sync
echo s >/proc/sysrq-trigger
echo u >/proc/sysrq-trigger
sleep 3
echo b >/proc/sysrq-trigger
sleep 1000
