# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The kernel driver vfio-bar-lease, from programs in C.
# shellcheck source=/dev/null
. lab.sh
needs leasecheck

lease0=$(address_of lease0)
lease1=$(address_of lease1)
big0=$(address_of big0)

leasecheck "$lease0" "$lease1" "$big0" >/tmp/leasecheck.out 2>&1
lab_status=$?
# "pass a_name" and "fail a_name: reason", once or more often.
while read -r lab_word lab_rest; do
    lab_name=$(echo "${lab_rest%%:*}" | tr _ ' ')
    case $lab_word in
    pass) pass "$lab_name" ;;
    fail) fail "$lab_name" "${lab_rest#*: }" ;;
    end) ;;
    *) echo "# $lab_word $lab_rest" ;;
    esac
done </tmp/leasecheck.out
expect_equal "leasecheck gets to its end" "0 end" "$lab_status $(tail -n 1 /tmp/leasecheck.out)"

check "no buffer is left" sh -c '! grep -q vfio_bar_lease /sys/kernel/debug/dma_buf/bufinfo'
for driver in lease0 lease1 lease2 big0 lpair0 lpair1; do
    address_of "$driver" >/sys/bus/pci/drivers/vfio-bar-lease/unbind
done
check "the module can be unloaded" rmmod vfio_bar_lease
check "and loaded again" insmod /host/modules/vfio_bar_lease.ko
done_testing
