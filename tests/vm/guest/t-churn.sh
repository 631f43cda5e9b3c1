# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# 10,000 leases come and go beside one that writes and verifies all the time, on one BAR of a device of vfio-bar-lease. The daemon is what it was after that.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe matrixhold
# shellcheck source=/dev/null
. matrix.sh

cat >$m/broker.json <<END
{
  "metrics": { "enabled": false },
  "leases": { "endedKept": 64 },
  "devices": [ { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" } ]
}
END
column='churn'
barbrokerd --config $m/broker.json >$m/broker.log 2>&1 &
broker=$!
is_ready() { barctl -o jsonl device list | grep -q '"state":"ready","revocation_domain":"selective"'; }
check "the daemon takes back single leases of lease0" wait_until 60 "lease0" is_ready

files() { find /proc/$broker/fd -mindepth 1 | wc -l; }
resident() { awk '/^VmRSS/ { print $2 }' /proc/$broker/status; }
dmabufs() { grep -c vfio_bar_lease /sys/kernel/debug/dma_buf/bufinfo; }
leased() { barctl -o jsonl device list | sed -n 's/.*"index":2,"size":[0-9]*,"free":[0-9]*,"leased":\([0-9]*\),.*/\1/p'; }

start bystander as bob barctl run -d lease0 --bar 2 --range 0x800000+0x10000 -- matrixhold $m bystander bystander
bystander=$started
ready bystander
tell bystander report
before=$heard

# The daemon's heap, caches and threads have their size after some thousands; on a busy machine one thousand is too few (seen: 39.1 MiB then, and 42.7 in the end; elsewhere 42.5 and 42.7).
check "4,000 leases come and go" as alice leaseprobe churn lease0 2 4000
cat /tmp/check.out
files_before=$(files)
resident_before=$(resident)
dmabufs_before=$(dmabufs)
check "6,000 more do" as alice leaseprobe churn lease0 2 6000
expect_grep "without an error" '^leases 6000 errors 0 '
cat /tmp/check.out

tell bystander report
expect_equal "the lease beside them had none either" "errors 0" "$(echo "$heard" | sed 's/.*\(errors [0-9]*\).*/\1/')"
echo "# it had ${before%% errors*}, then ${heard%% errors*}"
check "and went on all the time" test "$(echo "$heard" | cut -d' ' -f2)" -gt "$(echo "$before" | cut -d' ' -f2)"
expect_equal "what is leased is what it has" 65536 "$(leased)"
expect_equal "the daemon has as many files as before" "$files_before" "$(files)"
expect_equal "the kernel has as many buffers" "$dmabufs_before" "$(dmabufs)"
resident_after=$(resident)
echo "# the daemon's resident memory: $resident_before kB after 4,000 leases, $resident_after kB after 10,000"
check "the daemon's memory did not grow by more than 2 MiB" test "$resident_after" -lt $((resident_before + 2048))

order bystander quit
check "the lease beside them ends well" wait $bystander
expect_equal "then nothing is leased" 0 "$(leased)"
done_testing
