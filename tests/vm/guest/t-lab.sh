# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The lab itself: the kernel, the devices, their groups, the other users, and that a run can fail.
# shellcheck source=/dev/null
. lab.sh
needs vfiocheck vfiohold

expect_grep "the kernel is 7.x" '^7\.' /proc/sys/kernel/osrelease
check "the IOMMU has groups" test -d /sys/kernel/iommu_groups/0
check "a type1 container is there" test -c /dev/vfio/vfio

for name in shm0 shm1 shm2 edu0 testdev0 nvme0 pair0 pair1 mixed0; do
    expect_equal "$name is bound to vfio-pci" vfio-pci "$(driver_of "$name")"
    check "$name has a group node" test -c "/dev/vfio/$(group_of "$name")"
done
for name in lease0 lease1 lease2 big0 lpair0 lpair1; do
    if [ -e /host/modules/vfio_bar_lease.ko ]; then
        expect_equal "$name is bound to vfio-bar-lease" vfio-bar-lease "$(driver_of "$name")"
        check "$name has a group node" test -c "/dev/vfio/$(group_of "$name")"
    else
        skip "$name is bound to vfio-bar-lease" "there is no kernel/ in this tree"
    fi
done
expect_equal "spare0 is bound to nothing" - "$(driver_of spare0)"
expect_equal "import0 is bound to the importer" barbroker-importer "$(driver_of import0)"
expect_equal "nic0 is bound to e1000" e1000 "$(driver_of nic0)"

for name in shm0 shm1 shm2 edu0 testdev0 nvme0 spare0 lease0 lease1 lease2 big0; do
    members=$(ls "/sys/kernel/iommu_groups/$(group_of "$name")/devices")
    expect_equal "$name is alone in its group" "$(address_of "$name")" "$members"
done
expect_equal "pair0 and pair1 share a group" "$(group_of pair0)" "$(group_of pair1)"
expect_equal "lpair0 and lpair1 share a group" "$(group_of lpair0)" "$(group_of lpair1)"
expect_equal "mixed0 and nic0 share a group" "$(group_of mixed0)" "$(group_of nic0)"

check "alice may lease" as alice id
expect_grep "alice is in the group barbroker" 'uid=1001\(alice\).*990\(barbroker\)'
check "olga is an operator" as olga id
expect_grep "olga is in the group barbroker-admin" 'uid=1004\(olga\).*991\(barbroker-admin\)'
check_fails "mallory is in no group of ours" as mallory sh -c 'id | grep barbroker'
check_fails "mallory cannot open a group" as mallory sh -c ": </dev/vfio/$(group_of shm0)"

# What kernel-facts say, without any code of the broker.
check "vfiocheck exports two ranges out of order" vfiocheck "$(address_of shm0)"
expect_grep "the group of shm0 is viable" '^viable 1$'
expect_grep "BAR2 of shm0 has 64 MiB" '^region 2 size 0x4000000 .*mmap'
expect_grep "a device behind a root port can be reset" '^reset 1$'
expect_grep "dmabuf export is a feature" '^probe 11 get 0$'
expect_grep "an unknown feature is ENOTTY" '^probe 16 set ENOTTY$'
expect_grep "the size is the sum of the ranges" '^seek_end 0x3000$'
expect_grep "fdinfo has the size" '^size:[[:space:]]*12288$'
expect_grep "fdinfo names the exporter" '^exp_name:[[:space:]]*vfio_pci_core$'
expect_grep "a shared mmap is refused" '^mmap_shared EINVAL$'
expect_grep "a private mmap is refused" '^mmap_private EINVAL$'
for refusal in unaligned_offset:EINVAL unaligned_length:EINVAL empty:EINVAL no_ranges:EINVAL past_end:EINVAL overflow:EOVERFLOW config_space:ENODEV; do
    expect_grep "export refuses: ${refusal%:*}" "^export_${refusal%:*} ${refusal#*:}$"
done
expect_grep "ranges that overlap are no error to the kernel" '^export_overlap accepted$'
check "nvme0 exports its memory buffer" vfiocheck "$(address_of nvme0)"
expect_grep "BAR2 of nvme0 has 16 MiB" '^region 2 size 0x1000000 '
check "edu0 exports its registers" vfiocheck "$(address_of edu0)" 0
expect_grep "BAR0 of edu0 has 1 MiB" '^region 0 size 0x100000 '
check_status "mixed0 cannot be opened" 3 vfiocheck "$(address_of mixed0)"
expect_grep "its group is not viable" '^viable 0$'
expect_grep "the container refuses it" '^set_container EPERM$'
check "pair0 can be opened, since its neighbour is with vfio-pci too" vfiocheck "$(address_of pair0)"

# The host can take a device away and give it back.
address=$(address_of shm2)
vfiohold "$address" 120 >/tmp/hold.out 2>&1 &
holder=$!
check "shm2 is held" wait_until 30 "vfiohold to have it" grep -q held /tmp/hold.out
check_fails "a second program cannot have it" vfiocheck "$address"
expect_grep "because it is busy" EBUSY
check "the host lets the port of shm2 report an error" host fault shm2
check "the holder is told of it" wait_until 30 "vfiohold to be told" grep -q error /tmp/hold.out
check "the host unplugs shm2" host unplug shm2
check "the kernel asks the holder" wait_until 30 "vfiohold to be asked" grep -q asked /tmp/hold.out
check "shm2 is still there" is_present "$address"
check "the holder lets go" wait "$holder"
check "shm2 goes" wait_until 30 "shm2 to go" is_absent "$address"
check "shm2 comes back" plug shm2
expect_equal "it is bound to vfio-pci again" vfio-pci "$(driver_of shm2)"
check "it can be opened again" vfiocheck "$(address_of shm2)"
for time in first second; do
    check "spare0 is unplugged, $time time" host unplug spare0
    check "spare0 goes" wait_until 30 "spare0 to go" is_absent "$(address_of spare0)"
    check "spare0 comes back" plug spare0
    expect_equal "it is still bound to nothing" - "$(driver_of spare0)"
done
check_fails "the host has no such device" host unplug shm99
# The host looks at the port for a second at a time.
check "a request that takes longer than the host looks for it is one request" sh -c 'exec 3<>/dev/ttyS2; printf "fault sh" >&3; sleep 1.5; echo m99 >&3; read -r answer <&3; echo "$answer"; [ "$answer" = "error no device is called '"'"'shm99'"'"'" ]'

done_testing
