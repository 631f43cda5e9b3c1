# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A VFIO device as the broker drives it, without daemon and leases: open, describe, export, close with proof, loss, reset, refusals.
# shellcheck source=/dev/null
. lab.sh
needs vfioprobe

shm0=$(address_of shm0)
pair=$(address_of pair0),$(address_of pair1)

check "a device opens, exports, closes" vfioprobe "$shm0" open describe "export 2 0x3000+0x1000 0x0+0x2000" buffers close
expect_grep "its revocation domain on the stock kernel is the device" "domain=Device reset=True"
expect_grep "its BAR2 is offered, its BAR0 of less than a page is not" "^bars=2:0x4000000 page=4096"
expect_grep "it says why" "^detail=the kernel cannot revoke a single buffer \(none of the features 13, 14, 47617 does it\)"
expect_grep "write-combining and read-only are not promised" "^attributes=NonCached accesses=ReadWrite"
expect_grep "two ranges out of order are one vfio dmabuf of their size" "seek=12288 .*size: 12288 exp_name: vfio_pci_core"
check "a closed device is free for another program" vfiocheck "$shm0"

check "nvme0 offers both its BARs" vfioprobe "$(address_of nvme0)" open describe close
expect_grep "and their sizes" "^bars=0:0x4000,2:0x1000000 "
check "what the kernel refuses is told with call, BAR and device" \
    vfioprobe "$shm0" open "!export 2 0x3ffffff000+0x1000" "!export 2 0x1+0x1000" "!export 5 0x0+0x1000" close
expect_grep "past the BAR" "VFIO_DEVICE_FEATURE\(DMA_BUF\) on BAR 2 of $shm0: .*\(EINVAL\)"
expect_grep "no such BAR" "VFIO_DEVICE_FEATURE\(DMA_BUF\) on BAR 5 of $shm0: .*\(ENODEV\)"

check "a close that somebody's descriptor outlives is not called one" \
    vfioprobe "$shm0" open "export 2 0x0+0x1000" hold "!close" "!open" "!close" let-go close open close
expect_equal "it failed twice" 2 "$(grep -c '^!close: failed: open on the group of .* somebody does: .*(EBUSY)' /tmp/check.out)"
expect_grep "nor can the device be opened meanwhile" "^!open: failed: $shm0 is open, or not proven to be closed"
expect_grep "and succeeds when the descriptor is gone" "^closed $shm0"

check "two devices of one group open, and close one by one" vfioprobe "$pair" open "open 1" "export 2 0x0+0x1000" close open close "close 1"
check "also there, a close that somebody's descriptor outlives is not called one" vfioprobe "$pair" "open 1" open hold "!close" let-go close "close 1"
expect_grep "it failed" '^!close: failed: .* nothing proves that nobody else holds it: it was enabled 0 times before it was opened, 1 times while open, 1 times now'

check "a device is reset" vfioprobe "$shm0" open reset "export 2 0x0+0x1000" close
check "a device without a way to is not" vfioprobe "$pair" open describe "!reset" close
expect_grep "and says so before and after" "reset=False"
expect_grep "naming it" "^!reset: failed: $(address_of pair0) has no way to be reset alone"

check_fails "a group that holds a device with another driver is refused" vfioprobe "$(address_of mixed0)" open
expect_grep "the neighbour and its driver are named" "also holds $(address_of nic0) \(8086:100e\) with the driver e1000"
check_fails "a device with another driver is refused" vfioprobe "$(address_of nic0)" open
expect_grep "the driver is named" "$(address_of nic0) .* is bound to the driver e1000"
check_fails "a device without a driver is refused" vfioprobe "$(address_of spare0)" open
sed -n 's/.*To bind it: `\(.*\)`$/\1/p' /tmp/check.out >/tmp/bind
check "the commands that the refusal gives bind it" sh -ec ". /tmp/bind"
check "then it opens" vfioprobe "$(address_of spare0)" open close
check_fails "a device that is not there is refused" vfioprobe 0000:ff:00.0 open
expect_grep "and named" "no PCI device 0000:ff:00.0"
vfiohold "$(address_of shm1)" 20 >/tmp/hold.out 2>&1 &
holder=$!
wait_until 30 "the holder" grep -q held /tmp/hold.out
check_fails "a device in use elsewhere is refused" vfioprobe "$(address_of shm1)" open
expect_grep "and said to be" "is in use by process [0-9]+ \(vfiohold\); only one can have it"
kill -9 $holder

mkfifo /tmp/hold-open
# The output of the probe before would be taken for that of this one, which is emptied only when the background shell gets to it.
rm -f /tmp/probe.out
vfioprobe "$shm0" open "export 2 0x0+0x1000" "say ready" wait <>/tmp/hold-open >/tmp/probe.out 2>&1 &
probe=$!
wait_until 30 "the probe" grep -q ready /tmp/probe.out
check_fails "a device that the broker has open is not free" vfiocheck "$shm0"
kill -9 $probe
wait $probe 2>/dev/null
check "SIGKILL frees it for another process at once" vfiocheck "$shm0"

rm -f /tmp/probe.out
vfioprobe "$shm0" open "export 2 0x0+0x1000" "say ready" lost close >/tmp/probe.out 2>&1 &
probe=$!
wait_until 30 "the probe" grep -q ready /tmp/probe.out
check "a device in use can be unbound, since its user is told" sh -c "echo $shm0 >/sys/bus/pci/devices/$shm0/driver/unbind"
check "its user ends well" wait $probe
expect_grep "it was told why" "^lost: the kernel asks for the device back" /tmp/probe.out
expect_grep "and had proof that it was closed" "^closed $shm0" /tmp/probe.out
check "no driver has it now" test ! -e "/sys/bus/pci/devices/$shm0/driver"
echo "$shm0" >/sys/bus/pci/drivers_probe
check "bound again it opens again" vfioprobe "$shm0" open close

rm -f /tmp/probe.out
vfioprobe "$(address_of testdev0)" open "say ready" lost close >/tmp/probe.out 2>&1 &
probe=$!
wait_until 30 "the probe" grep -q ready /tmp/probe.out
check "a device's port reports an error" host fault testdev0
check "the device's user closes it" wait $probe
expect_grep "since it was told" "^lost: the device reported an uncorrectable error" /tmp/probe.out

rm -f /tmp/probe.out
vfioprobe "$(address_of shm2)" open "export 2 0x0+0x1000" "say ready" lost close >/tmp/probe.out 2>&1 &
probe=$!
wait_until 30 "the probe" grep -q ready /tmp/probe.out
check "a device in use can be unplugged" host unplug shm2
check "its user ends well then, too" wait $probe
expect_grep "and had proof that it was closed, then, too" "^closed" /tmp/probe.out
wait_until 15 "the device to go" test ! -e "/sys/bus/pci/devices/$(address_of shm2)"
check_fails "then there is no such device" vfioprobe "$(address_of shm2)" open
check "it can be plugged in again" plug shm2
check "and opens again" vfioprobe "$(address_of shm2)" open close

done_testing
