# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The revocation matrix of a device of plain vfio-pci, which takes back all its buffers or none, and which processes cannot map: who reaches a buffer there has a
# device import it. See t-matrix.sh.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl matriximport vfioowner

# shellcheck disable=SC2034 # of matrix.sh
{
    device=shm0
    other=shm1
    program=matriximport
    ranges='0x200000+0x2000'
    beside='0x800000+0x1000'
    dead='told, map ENODEV'
    refused=ENODEV
    rows='importer passed unread opath second'
}
# shellcheck source=/dev/null
. matrix.sh
chmod 666 /dev/barbroker-importer

column='the driver'
expect_equal "shm0 has the kernel's driver" vfio-pci "$(driver_of shm0)" || done_testing

# Not an end: access is suspended, and comes back. That an importer can map again says that it had to let go.
driver_column 'raw reset'
bystander_elsewhere
must owner reset 0
for row in importer passed second; do
    must $row "again $seed" live
    record $row live
done
cell unread live
must importer "check $seed" intact
pass "$column: the bytes are intact"
bystander_goes_on
end_column

driver_column 'close'
bystander_elsewhere
must owner close 0
cell importer "$dead"
other_cells
cell second "$dead"
bystander_goes_on
next_owner_is_intact
end_column

column='the daemon'
check "the daemon has both devices" start_broker shm0 shm1 || done_testing
check "it says what it can take back" barctl -o jsonl device show shm0
expect_grep "the whole device" '"revocation_domain":"device"'
expect_grep "by the driver" '"driver":"vfio-pci"'
expect_grep "and why" '"detail":"the kernel cannot revoke a single buffer \(none of the features [0-9, ]* does it\): closing the device ends all its buffers together; the kernel does not let processes map'

broker_column release released shm1
over importer
ended_by released
broker_cells
new_lease_is_intact
end_column

column_sigstop shm1
column_sigkill shm1
column_operator shm1
column_device_reset shm1
column_unbind shm1 vfio-pci

print_matrix
done_testing
