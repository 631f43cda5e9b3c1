# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Restarts of the daemon under systemd with leases on all kinds of devices: two that share an IOMMU group and so one container, and some of plain vfio-pci, alone and in a group, whose buffers are with an importer.
# shellcheck source=/dev/null
. lab.sh
# shellcheck source=/dev/null
. systemd.sh
needs barbrokerd barctl leaseprobe importctl

dir=/tmp/kinds
mkdir $dir
check "the units are installed" install_units
mkdir -p /etc/barbroker
entries() { for name in "$@"; do printf '    { "name": "%s", "kind": "vfio", "address": "%s" },\n' "$name" "$(address_of "$name")"; done | sed '$ s/,$//'; }
devices="lpair0 lpair1 shm0 pair0 pair1"
# shellcheck disable=SC2086 # names
cat >/etc/barbroker/broker.json <<END
{
  "leases": { "maxTtl": "4h", "escalation": { "cordon": "never" } },
  "devices": [
$(entries $devices)
  ]
}
END
# For vfio-pci the owner of the node is the operator's choice. Where devices have nodes of their own, those of their groups are for nobody else then.
chown barbroker "$(node_of shm0)" "$(node_of pair0)" "$(node_of pair1)"
systemctl start barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
for name in $devices; do
    check "$name is ready" wait_until 60 "$name" device_is "$name" ready || journalctl -u barbrokerd -n 40 --no-pager
done

# fleet DEVICE FD: three leases that are written to all the time, by a client that is asked by that descriptor.
fleet() {
    mkfifo "$dir/$1.in"
    leaseprobe fleet "$1" 2 3 4096 14400 <"$dir/$1.in" >"$dir/$1.out" 2>&1 &
    eval "exec $2>$dir/$1.in"
    check "$1: a client has three leases" wait_until 200 "the fleet" grep -q "^ready 3" "$dir/$1.out" || cat "$dir/$1.out"
}
reports() { grep -c '^report' "$dir/$1.out"; }
more_reports() { test "$(reports "$1")" -gt "$2"; }
# unhurt DEVICE FD: nothing is lost, and nothing foreign in the memory.
unhurt() {
    before=$(reports "$1")
    eval "echo report >&$2"
    wait_until 120 "a report" more_reports "$1" "$before"
    # shellcheck disable=SC2046 # its words
    set -- $(grep '^report' "$dir/$1.out" | tail -1)
    test "$3 $4" = "0 0"
}

# import DEVICE: a lease whose buffer an importer has mapped.
import() {
    mkfifo "$dir/$1.in"
    # shellcheck disable=SC2016 # for the client's shell to expand
    barctl run --ttl 4h --on-lost ignore -d "$1" --bar 2 --range 0x4000+0x1000 -- \
        sh -c 'exec importctl "fd b $BARBROKER_FD_0" "attach i b" "map i" - <>"$0"' "$dir/$1.in" >"$dir/$1.out" 2>&1 &
    check "$1: an importer has its buffer" wait_until 200 "the importer" grep -qx 'map i: ok' "$dir/$1.out" || cat "$dir/$1.out"
}
# told DEVICE TIMES: how often the importer was told that access is over.
told() {
    echo 'status i' 1<>"$dir/$1.in"
    wait_until 20 "its status" grep -q "^status i: ok .* told" "$dir/$1.out" && tail -1 "$dir/$1.out" | grep -q " told $2 "
}
lease_of() { barctl -o name lease list -d "$1"; }
is_new() { test "$(main_pid)" != "$1" && test "$(main_pid)" != 0 && timeout 60 barctl status; }

fleet lpair0 8
fleet lpair1 9
import shm0
import pair0
import pair1
terms $dir/before
expect_equal "the broker knows all leases" 9 "$(wc -l <$dir/before)"

survives() {
    name=$1
    shift
    terms $dir/before
    old=$(main_pid)
    "$@"
    check "$name: another one runs" wait_until 120 "another daemon" is_new "$old" || journalctl -u barbrokerd -n 40 --no-pager
    terms $dir/after
    check "$name: the same leases, epochs and deadlines" same_terms $dir/before $dir/after || journalctl -u barbrokerd -n 40 --no-pager
    check "$name: lpair0 is written to" unhurt lpair0 8
    check "$name: lpair1 is written to" unhurt lpair1 9
    for device in shm0 pair0 pair1; do
        check "$name: $device: the importer was told of nothing" told $device 0
    done
}
survives "restart" systemctl restart barbrokerd
survives "SIGKILL" systemctl kill -s KILL barbrokerd
survives "restart again" systemctl restart barbrokerd

# ---- What was taken up can be taken back.
check "one device of the group of vfio-bar-lease is taken back" barctl lease revoke --yes -d lpair0
expect_equal "it has no lease" "" "$(lease_of lpair0)"
check "its neighbour is written to" unhurt lpair1 9
for device in shm0 pair0; do
    check "$device: its lease is revoked" barctl lease revoke "$(lease_of $device)"
    check "$device: the importer was told" told $device 1
    check "$device: somebody else gets the range" barctl run -d $device --bar 2 --range 0x4000+0x1000 -- true
done
check "pair1: the importer was told of nothing" told pair1 0
check "lpair0: somebody else gets the range" barctl run -d lpair0 --bar 2 --range 0x0+0x4000 -- true

# ---- A device that is not configured any more, while another one of its group goes on.
gone=$(lease_of pair1)
old=$(main_pid)
sed -i '/"name": "pair1"/d' /etc/barbroker/broker.json
systemctl restart barbrokerd
check "without pair1: another daemon runs" wait_until 120 "another daemon" is_new "$old" || journalctl -u barbrokerd -n 40 --no-pager
check "pair1: the importer was told at the restart" told pair1 1
ended() { barctl -o jsonl history --lease "$1" | grep '"kind":"ended"' | grep -q '"broker_restart"'; }
check "pair1: its record ends" wait_until 60 "the end" ended "$gone" || barctl -o jsonl history --lease "$gone"
expect_equal "pair1: the function is enabled by nobody" 0 "$(cat "/sys/bus/pci/devices/$(address_of pair1)/enable")"
check "lpair1 is written to" unhurt lpair1 9
rm $dir/pair0.in
import pair0

exec 8>&- 9>&-
systemctl stop barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
expect_equal "after a stop nothing is kept" 0 "$(stored)"
check "pair0: the importer was told at the stop" told pair0 1
done_testing
