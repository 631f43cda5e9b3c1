# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The revocation matrix of a device of vfio-bar-lease: every way to reach a buffer × every way to end it. Each row is a process of its own; what it sees
# after the end is the cell. The first broken cell ends the script.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe matrixhold matriximport vfioowner

# shellcheck disable=SC2034 # of matrix.sh
{
    device=lease0
    other=lease1
    program=matrixhold
    # Large enough for a huge page, and one small page more. One range: kernels 7.2 and 7.3 cannot map several for an importer (t-importer.sh).
    ranges='0x200000+0x201000'
    beside='0x800000+0x10000'
    dead='SIGBUS, mmap ENODEV'
    refused=ENODEV
    rows='mapping child passed unread opath importer second'
}
# shellcheck source=/dev/null
. matrix.sh
chmod 666 /dev/barbroker-importer

column='the driver'
expect_equal "lease0 has the driver" vfio-bar-lease "$(driver_of lease0)" || done_testing

driver_column revoke
must owner "export 2 2 $beside" 0
own bystander 2 bob bystander
rounds_of
must owner 'revoke 0' 0
must owner 'state 0' revoked
must owner 'revoke 0' EBADFD
cell mapping "$dead"
other_cells
must second "try $seed" live
must owner 'state 1' live
must owner 'revoke 1' 0
cell second "$dead" 'live until its own revoke'
bystander_goes_on
must owner "export 3 2 $ranges" 0
own reader 3 bob client
intact
end_column

# Not an end: access is suspended, and comes back.
driver_column 'memory off'
must owner 'memory 0' 0
must owner 'state 0' suspended
for row in mapping passed second; do cell $row 'SIGBUS, mmap SIGBUS'; done
cell child SIGBUS
cell importer 'told, map ENODEV'
must owner 'memory 1' 0
must owner 'state 0' live
must importer "try $seed" 'told, map live'
all_live mapping second
must unread "try $seed" live
must mapping "check $seed" intact
pass "$column: all are live again, and the bytes intact"
end_column

# Nor is this: who touches a page meanwhile waits, an importer has to map again.
driver_column 'raw reset'
bystander_elsewhere
must owner reset 0
must owner 'state 0' live
for row in mapping child passed unread second; do cell $row live; done
cell importer 'told, map live'
must mapping "check $seed" intact
pass "$column: the bytes are intact"
bystander_goes_on
end_column

driver_column 'close'
bystander_elsewhere
must owner close 0
cell mapping "$dead"
other_cells
cell second "$dead"
bystander_goes_on
next_owner_is_intact
end_column

column='the daemon'
check "the daemon has both devices" start_broker lease0 lease1 || done_testing
check "it says what it can take back" barctl -o jsonl device show lease0
expect_grep "single leases" '"revocation_domain":"selective"'
expect_grep "by the driver" '"driver":"vfio-bar-lease"'
expect_grep "and why" '"detail":"the kernel revokes single buffers \(feature 47617, tried out when the device was opened\); processes can map the buffers'

broker_column release library lease0
must mapping release Ended
broker_cells library
new_lease_is_intact
end_column

broker_column expiry library lease0
must mapping silent silent
ended_by expired
broker_cells library
new_lease_is_intact
end_column

column_sigstop lease0
column_sigkill lease0
column_operator lease0
column_device_reset lease1
column_unbind lease1 vfio-bar-lease

# A broker of its own serves the bystander, since all leases of one that dies end with it.
column='daemon SIGKILL'
bystander_broker=/run/other
cat >$m/other.json <<END
{
  "metrics": { "enabled": false },
  "sockets": { "clientGroup": "barbroker", "operatorGroup": "barbroker-admin" },
  "devices": [ { "name": "lease2", "kind": "vfio", "address": "$(address_of lease2)" } ]
}
END
BARBROKER_RUNTIME_DIR=$bystander_broker barbrokerd --config $m/other.json --runtime-dir $bystander_broker >$m/other.log 2>&1 &
BARBROKER_RUNTIME_DIR=$bystander_broker wait_until 60 "the other broker" devices_ready 1 || broken other "no device of its broker"
broker_column "$column" run lease2
kill -9 $broker
wait $broker 2>/dev/null
broker_cells
check "$column: the daemon starts again" start_broker lease0 lease1
new_lease_is_intact
end_column

print_matrix
done_testing
