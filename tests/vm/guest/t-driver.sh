# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The kernel driver vfio-bar-lease, from programs in C.
# shellcheck source=/dev/null
. lab.sh
needs leasecheck leaseshare leasesuspend

# driven NAME: puts a device on vfio-bar-lease.
driven() {
    driven_at=$(address_of "$1")
    echo vfio-bar-lease >"/sys/bus/pci/devices/$driven_at/driver_override"
    echo "$driven_at" >"/sys/bus/pci/devices/$driven_at/driver/unbind"
    echo "$driven_at" >/sys/bus/pci/drivers_probe
    [ "$(basename "$(readlink "/sys/bus/pci/devices/$driven_at/driver")")" = vfio-bar-lease ]
}

# results_of PROGRAM ARGUMENTS...: its "pass a_name" and "fail a_name: reason" are checks.
results_of() {
    "$@" >/tmp/results 2>&1
    results_status=$?
    while read -r results_word results_rest; do
        results_name=$(echo "${results_rest%%:*}" | tr _ ' ')
        case $results_word in
        pass) pass "$results_name" ;;
        fail) fail "$results_name" "${results_rest#*: }" ;;
        end) ;;
        *) echo "# $results_word $results_rest" ;;
        esac
    done </tmp/results
    expect_equal "$1 gets to its end" "0 end" "$results_status $(tail -n 1 /tmp/results)"
}

lease0=$(address_of lease0)
lease1=$(address_of lease1)
check "an NVMe controller can be given to the driver" driven nvme0
results_of leasecheck "$lease0" "$lease1" "$(address_of big0)"
results_of leaseshare "$lease0" "$lease1"
results_of leasesuspend "$lease0" "$(address_of nvme0)" "$(address_of lpair0)" "$(address_of lpair1)"

mkfifo /tmp/watch
leasesuspend watch "$lease1" </tmp/watch >/tmp/watch.out 2>&1 &
watcher=$!
exec 3>/tmp/watch
check "a device is used" wait_until 30 "the first access" grep -q reads /tmp/watch.out
# Asked again when the guest, slow with checkers, lost letters on its serial line.
check "its port reports an error" wait_until 30 "the host" host fault lease1
check "the driver is told" wait_until 30 "the kernel's recovery" sh -c 'dmesg | grep -q "device recovery successful"'
sleep 0.5
exec 3>&-
check "the user of the device goes on" wait "$watcher"
expect_equal "its memory is there after the recovery" reads "$(tail -n 1 /tmp/watch.out)"

check "no buffer is left" sh -c '! grep -q vfio_bar_lease /sys/kernel/debug/dma_buf/bufinfo'
for bound in /sys/bus/pci/drivers/vfio-bar-lease/0*; do
    echo "${bound##*/}" >/sys/bus/pci/drivers/vfio-bar-lease/unbind
done
check "the module can be unloaded" rmmod vfio_bar_lease
check "and loaded again" insmod /host/modules/vfio_bar_lease.ko
done_testing
