# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Restarts of the daemon under the real systemd, with leases on a real device whose client writes to all of them all the time: restart, SIGKILL, a watchdog that is not fed. And the journal deleted, a
# descriptor that is missing, and a stop, after which nothing is left.
#   t-systemd-restart.sh [LEASES]
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe
leases=${1:-20}

# What a package does.
install_units() {
    sh /lab/systemd/install && cp /lab/barbrokerd /lab/*.so /usr/sbin/ \
        && systemd-sysusers && systemd-tmpfiles --create && udevadm control --reload && udevadm trigger --settle && systemctl daemon-reload
}
check "the units are installed" install_units
mkdir -p /etc/barbroker
cat >/etc/barbroker/broker.json <<END
{
  "leases": { "maxTtl": "10m" },
  "limits": { "leasesPerUid": 20000 },
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" },
    { "name": "lease1", "kind": "vfio", "address": "$(address_of lease1)" }
  ]
}
END
device_is() { timeout 10 barctl -o jsonl device list | grep "\"name\":\"$1\"" | grep -q "\"state\":\"$2\""; }
store() { systemctl show -p NFileDescriptorStore --value barbrokerd; }
pid() { systemctl show -p MainPID --value barbrokerd; }
fixed() { barctl -o jsonl lease list | sed 's/"remaining[^,]*,//g; s/"age[^,]*,//g' | sed -n 's/.*"id":"\([^"]*\)".*"epoch":\([0-9]*\).*/\1 \2/p' | sort; }
last() { grep '^report' "$dir/out" | tail -1; }
report() {
    before=$(grep -c '^report' "$dir/out")
    echo report >&9
    wait_until 120 "a report" more_reports "$before" && last
}
more_reports() { test "$(grep -c '^report' "$dir/out")" -gt "$1"; }
is_new() { test "$(pid)" != "$1" && test "$(pid)" != 0 && timeout 10 barctl status; }

# survives NAME COMMAND...: the command ends the daemon; after it all is as it was.
survives() {
    name=$1
    shift
    report >/dev/null
    old=$(pid)
    "$@" || fail "$name" "the command failed"
    check "$name: another one runs" wait_until 120 "another daemon" is_new "$old" || journalctl -u barbrokerd -n 30 --no-pager
    sleep 2
    set -- $(report)
    echo "# $name: calls that failed $5, longest time without an answer $6 ms; $(journalctl -u barbrokerd --no-pager | grep -o 'Restarted: .*' | tail -1)"
    expect_equal "$name: nothing is lost, nothing foreign is in the memory" "0 0" "$3 $4"
    fixed >"$dir/after"
    check "$name: the same leases and epochs" cmp "$dir/before" "$dir/after"
}

dir=/tmp/restart
mkdir $dir
systemctl start barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
check "the devices are ready" wait_until 120 "lease0" device_is lease0 ready || journalctl -u barbrokerd -n 40 --no-pager
mkfifo $dir/in
leaseprobe fleet lease0 2 "$leases" 4096 120 <$dir/in >$dir/out 2>&1 &
fleet=$!
exec 9>$dir/in
check "a client has $leases leases" wait_until 300 "the fleet" grep -q "^ready $leases" $dir/out || { cat "$dir/out"; done_testing; exit 1; }
fixed >$dir/before
expect_equal "the broker knows them" "$leases" "$(wc -l <$dir/before)"
echo "# in the store: $(store)"
check "the store has more than the leases" test "$(store)" -gt "$leases"

survives "systemctl restart" systemctl restart barbrokerd
survives "SIGKILL" systemctl kill -s KILL barbrokerd
survives "watchdog" systemctl kill -s STOP barbrokerd

# ---- Without its journal nothing is believed.
old=$(pid)
systemctl kill -s STOP barbrokerd
rm -f /var/lib/barbroker/journal.db* /run/barbroker/journal.ahead-*
kill -9 "$old"
check "without the journal: another one runs" wait_until 120 "another daemon" is_new "$old"
check "without the journal: the device serves again" wait_until 120 "lease0" device_is lease0 ready
all_lost() { test "$(report | cut -d' ' -f3)" = "$leases"; }
check "without the journal: every lease is lost" wait_until 120 "the losses" all_lost
check "without the journal: another client gets a lease" barctl run -d lease0 --bar 2 --range 0x0+0x1000 -- true

exec 9>&-
kill $fleet 2>/dev/null
systemctl stop barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
expect_equal "after a stop nothing is kept" 0 "$(store)"
done_testing
