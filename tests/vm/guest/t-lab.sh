# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The lab itself: the kernel, the devices, their groups, the other users, and that a run can fail.
# shellcheck source=/dev/null
. lab.sh

expect_grep "the kernel is 7.x" '^7\.' /proc/sys/kernel/osrelease
check "the IOMMU has groups" test -d /sys/kernel/iommu_groups/0
check "a type1 container is there" test -c /dev/vfio/vfio

for name in shm0 shm1 shm2 edu0 testdev0 nvme0 pair0 pair1 mixed0; do
    expect_equal "$name is bound to vfio-pci" vfio-pci "$(driver_of "$name")"
    check "$name has a group node" test -c "/dev/vfio/$(group_of "$name")"
done
expect_equal "spare0 is bound to nothing" - "$(driver_of spare0)"
expect_equal "nic0 is bound to e1000" e1000 "$(driver_of nic0)"

for name in shm0 shm1 shm2 edu0 testdev0 nvme0 spare0; do
    members=$(ls "/sys/kernel/iommu_groups/$(group_of "$name")/devices")
    expect_equal "$name is alone in its group" "$(address_of "$name")" "$members"
done
expect_equal "pair0 and pair1 share a group" "$(group_of pair0)" "$(group_of pair1)"
expect_equal "mixed0 and nic0 share a group" "$(group_of mixed0)" "$(group_of nic0)"

check "alice may lease" as alice id
expect_grep "alice is in the group barbroker" 'uid=1001\(alice\).*990\(barbroker\)'
check "olga is an operator" as olga id
expect_grep "olga is in the group barbroker-admin" 'uid=1004\(olga\).*991\(barbroker-admin\)'
check_fails "mallory is in no group of ours" as mallory sh -c 'id | grep barbroker'
check_fails "mallory cannot open a group" as mallory sh -c ": </dev/vfio/$(group_of shm0)"

done_testing
