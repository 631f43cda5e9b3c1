# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Restarts of the daemon under the real systemd, with leases on a real device whose client writes to all of them all the time: restart, upgrade of the package, SIGKILL, a watchdog that is not fed. And the
# journal deleted, and a stop, after which nothing is left. How long nobody was answered, and what that time went to, is printed.
#   t-systemd-restart.sh [LEASES [upgrade [MS]]]    upgrade: the daemon comes from the packages of scripts/lab-payload-packages, and is upgraded, too
#                                                   MS: each time, at most so many milliseconds without an answer, of which a watchdog's wait does not count
# shellcheck source=/dev/null
. lab.sh
# shellcheck source=/dev/null
. systemd.sh
# shellcheck source=/dev/null
. floor.sh
needs barbrokerd barctl leaseprobe floor
leases=${1:-20}
most=${3:-}
packages=/lab/packages
dir=/tmp/restart
mkdir $dir

if [ "${2:-}" = upgrade ]; then
    check "the package installs" install_package $packages/barbroker.deb
    systemctl stop barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
else
    check "the units are installed" install_units
    mkdir -p /etc/barbroker
fi
cat >/etc/barbroker/broker.json <<END
{
  "leases": { "maxTtl": "4h" },
  "limits": { "leasesPerUid": 20000 },
  "devices": [
    $(entry_of lease0),
    $(entry_of lease1)
  ]
}
END
more_reports() { test "$(grep -c '^report' "$dir/out")" -gt "$1"; }
report() {
    before=$(grep -c '^report' "$dir/out")
    echo report >&9
    wait_until 300 "a report" more_reports "$before" && grep '^report' "$dir/out" | tail -1
}
is_new() { test "$(main_pid)" != "$1" && test "$(main_pid)" != 0 && timeout 60 barctl status; }
is_ready() { grep -q "^ready $leases" $dir/out || ! test -e /proc/$fleet; }

# Waits until another process answers; as long as it does not, asks for it without starting programs, which would take time from it.
await_new() {
    for _ in $(seq 1200); do
        case $(service_processes) in '' | "$1" | "$1"[!0-9]*) sleep 0.1 ;; *) break ;; esac
    done
    sleep 3
    wait_until 300 "another daemon" is_new "$1"
}

# phases FROM UNTIL: what the time between the two went to, in ms. Both are in microseconds of CLOCK_MONOTONIC.
phases() {
    {
        systemctl show -p ActiveExitTimestampMonotonic -p InactiveEnterTimestampMonotonic -p ExecMainStartTimestampMonotonic -p ActiveEnterTimestampMonotonic barbrokerd
        journalctl -o short-monotonic --no-pager -n 200 "_PID=$(main_pid)" | sed -n 's/^\[ *\([0-9]*\)\.\([0-9]*\)\].*: \(Leases outlive\|Restarted:\|Ready:\).*/\3=\1\2/p'
    } | awk -F= -v from="$1" -v until="$2" '
        { at[$1] = $2 }
        function step(what, name) { if (name in at && at[name] >= last) { printf "#   %6d ms %s\n", (at[name] - last) / 1000, what; last = at[name] } }
        END {
            last = from
            at["answer"] = until
            step("until systemd ends it, or learns of its end", "ActiveExitTimestampMonotonic")
            printf "#   from there %d ms without an answer:\n", (until - last) / 1000
            step("its end", "InactiveEnterTimestampMonotonic")
            step("until systemd starts another", "ExecMainStartTimestampMonotonic")
            step("its sandbox, its execution, its configuration", "Leases outlive")
            step("leases taken up", "Restarted:")
            step("sockets taken up", "Ready:")
            step("until the client has its answer", "answer")
        }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'; }

# Each start counts for StartLimitBurst=, and the whole script may be done within StartLimitIntervalSec=.
forget_starts() { systemctl reset-failed barbrokerd; }

# survives NAME FLOOR COMMAND...: the command ends the daemon; after it all is as it was. FLOOR is what systemd alone takes for that, in ms.
survives() {
    name=$1 floor=$2
    shift 2
    report >/dev/null
    terms $dir/before
    old=$(main_pid)
    forget_starts
    "$@" >$dir/command.out 2>&1 || fail "$name" "the command failed" $dir/command.out
    check "$name: another one runs" await_new "$old" || journalctl -u barbrokerd -n 30 --no-pager
    check "$name: others get leases" leaseprobe churn lease0 2 8
    # shellcheck disable=SC2046 # its words
    set -- $(report)
    echo "# $name: $6 ms without an answer, calls that failed $5; $(journalctl -u barbrokerd --no-pager | grep -o 'Restarted: .*' | tail -1)"
    phases "$7" "$8" | tee $dir/phases
    silence=$(sed -n 's/.* from there \([0-9]*\) ms .*/\1/p' $dir/phases)
    echo "#   $floor ms systemd alone, with the same unit, sockets and count of descriptors, and a program that does nothing; the daemon takes $(ratio "$silence" "$floor") times as long"
    [ -z "$most" ] || check "$name: at most $most ms without an answer" test "$silence" -le "$most"
    expect_equal "$name: nothing is lost, nothing foreign is in the memory" "0 0" "$3 $4"
    expect_equal "$name: no call of the client failed" 0 "$5"
    terms $dir/after
    check "$name: the same leases, epochs and deadlines" same_terms $dir/before $dir/after
    in_container || check "$name: the device is open by the node of before" opens_by_node "$(main_pid)" lease0
    check "$name: it is healthy, and the doctor finds nothing" is_healthy
}

systemctl start barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
check "the devices are ready" wait_until 120 "lease0" device_is lease0 ready || journalctl -u barbrokerd -n 40 --no-pager
mkfifo $dir/in
# Of each lease a process has the buffer, and what its bytes are copied through.
ulimit -n 16384
# With so long a TTL they are not renewed here, and keep the deadlines that they have.
leaseprobe fleet lease0 2 "$leases" 4096 14400 <$dir/in >$dir/out 2>&1 &
fleet=$!
exec 9>$dir/in
wait_until 1500 "the fleet" is_ready
check "a client has $leases leases" grep -q "^ready $leases" $dir/out || { cat "$dir/out"; done_testing; exit 1; }
terms $dir/before
expect_equal "the broker knows them" "$leases" "$(wc -l <$dir/before)"
echo "# after $(cut -d' ' -f1 /proc/uptime) s, in the store: $(stored)"
check "the store has more than the leases" test "$(stored)" -gt "$leases"

# Beside the client that writes, as the daemon's restarts. Under emulation once each, since each takes seconds.
rounds=5
in_container || rounds=1
check "systemd restarts a program that does nothing" floor_start "$(stored)" || { systemctl status floor; journalctl -u floor -n 20 --no-pager; }
floor_restart=$(floor_of $rounds systemctl restart floor)
floor_kill=$(floor_of $rounds systemctl kill -s KILL floor)
floor_abort=$(floor_of $rounds systemctl kill -s ABRT floor)
floor_stop

survives "systemctl restart" "$floor_restart" systemctl restart barbrokerd
[ "${2:-}" != upgrade ] || survives "upgrade of the package" "$floor_restart" install_package $packages/barbroker-next.deb
survives "SIGKILL" "$floor_kill" systemctl kill -s KILL barbrokerd
survives "watchdog" "$floor_abort" systemctl kill -s STOP barbrokerd

# ---- A deadline that a renewal has moved. The client renews after a third of the TTL: right after it has, a restart is over before it does so again.
ttl=360
! in_container || ttl=30
terms_of() { terms $dir/all && grep "^$1 " $dir/all >"$2" && cp $dir/all.asked "$2.asked"; }
was_renewed() { terms_of "$1" $dir/before && awk '{ exit !($3 > '$ttl' + 1) }' $dir/before; }
leaseprobe work lease1 4096 bar=2 ttl=$ttl >$dir/work.out 2>&1 &
worker=$!
check "another client has a lease" wait_until 120 "the lease" grep -q '^leased ' $dir/work.out || cat $dir/work.out
renewed=$(sed -n 's/^leased //p' $dir/work.out)
check "it is renewed" wait_until $ttl "the renewal of $renewed" was_renewed "$renewed"
old=$(main_pid)
forget_starts
kill -9 "$old"
check "renewed: another one runs" await_new "$old"
terms_of "$renewed" $dir/after
check "renewed: the deadline is the one of the renewal" same_terms $dir/before $dir/after
kill $worker

# ---- Without its journal nothing is believed.
old=$(main_pid)
forget_starts
systemctl kill -s STOP barbrokerd
rm -f /var/lib/barbroker/journal.db* /run/barbroker/journal.ahead-*
kill -9 "$old"
check "without the journal: another one runs" await_new "$old"
check "without the journal: the device serves again" wait_until 120 "lease0" device_is lease0 ready
all_lost() { test "$(report | cut -d' ' -f3)" = "$leases"; }
check "without the journal: every lease is lost" wait_until 300 "the losses" all_lost
check "without the journal: another client gets a lease" barctl run -d lease0 --bar 2 --range 0x0+0x1000 -- true

exec 9>&-
kill $fleet 2>/dev/null
systemctl stop barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
expect_equal "after a stop nothing is kept" 0 "$(stored)"
done_testing
