# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The stress test of vfio-bar-lease: stress.sh SECONDS [SEED]
# shellcheck source=/dev/null
. lab.sh
needs leasestress
seconds=${1:-60}
module=/host/modules/vfio_bar_lease.ko

devices() { for name in lease0 lease1 lease2; do echo "$name=$(address_of $name)"; done; }
# shellcheck disable=SC2046 # one argument for each device
stress() { leasestress "$@" $(devices); }

bound() { for name in lease0 lease1 lease2; do [ "$(driver_of $name)" = vfio-bar-lease ] || return 1; done; }

# Objects of the caches that what the driver makes comes from. Freed ones that a processor keeps for itself count too, so it is about right only.
slabs() {
    echo 3 >/proc/sys/vm/drop_caches
    sleep 1
    awk '/^kmalloc-/ { kmalloc += $2 } /^(filp|vm_area_struct|dentry|inode_cache|sock_inode_cache) / { print $1, $2 } END { print "kmalloc", kmalloc }' /proc/slabinfo
}

# KASAN keeps what was freed for a while, in order to see who still uses it.
has_kasan() { grep -q ' kasan_report$' /proc/kallsyms; }

leaks=/sys/kernel/debug/kmemleak
has_kmemleak() { [ -e $leaks ] && echo scan >$leaks; } 2>/dev/null

# What kmemleak reports is at least five seconds old.
no_leaks() {
    sleep 6
    echo scan >$leaks
    echo scan >$leaks
    cat $leaks
    ! grep -Eq 'lease_|dma_buf|vfio' $leaks
}

buffers() { sed -n 's/^Total \([0-9]*\) objects.*/\1/p' /sys/kernel/debug/dma_buf/bufinfo; }
files() { cut -f1 /proc/sys/fs/file-nr; }

# compare_slabs BEFORE AFTER MOST: what grew by more than that.
compare_slabs() {
    awk -v most="$3" 'NR == FNR { before[$1] = $2; next } { printf "%s %d -> %d\n", $1, before[$1], $2; if ($2 - before[$1] > most) bad = 1 } END { exit bad }' "$1" "$2"
}

# Preempted wherever it is, not only where it waits: one processor then sees most races that several would.
if [ -w /sys/kernel/debug/sched/preempt ]; then
    echo full >/sys/kernel/debug/sched/preempt
    echo "preemption: $(cat /sys/kernel/debug/sched/preempt)"
fi
echo "kernel $(uname -r), $(nproc) processors, $(devices | tr '\n' ' ')"
check "the devices are bound to vfio-bar-lease" bound || done_testing

# The first run makes what stays: caches, lists of free objects.
check "a short run before" stress -p -d 5 ${2:+-s "$2"}
slabs >/tmp/slabs.before
buffers_before=$(buffers)
files_before=$(files)

check "$seconds s of it" stress -d "$seconds" ${2:+-s "$2"} && cat /tmp/check.out
exports=$(awk '/  (export of|second export)/ { n += $1 } END { print n + 0 }' /tmp/check.out)

expect_equal "no dmabuf is left" "$buffers_before" "$(buffers)"
slabs >/tmp/slabs.after
if has_kasan; then
    skip "no kernel object is left of $exports exports" "KASAN keeps freed objects, so that they cannot be counted"
else
    check "no kernel object is left of $exports exports" compare_slabs /tmp/slabs.before /tmp/slabs.after $((exports / 10 + 200)) && cat /tmp/check.out
fi
if has_kmemleak; then
    check "kmemleak finds nothing of the driver" no_leaks && cat /tmp/check.out
else
    skip "kmemleak finds nothing of the driver" "this kernel was built or booted without it"
fi
echo "open files: $files_before before, $(files) after"
check "no open file is left" test "$(files)" -lt $((files_before + 100))
check "the module can be unloaded" rmmod vfio_bar_lease
check "and loaded" insmod "$module"
sh /host/guest/bind-devices
check "the devices are bound to it again" bound
check "and work" stress -p -d 3
done_testing
