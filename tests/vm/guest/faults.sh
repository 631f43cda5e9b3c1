# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What scripts share that kill the daemon under the real systemd and damage what it left for its next run: clients that hold leases of lease0, map them and write to them, faults, and what must be after
# every fault. To be read after lab.sh and systemd.sh; the script begins with start_serving.

dir=/run/faults
state=/var/lib/barbroker
run=/run/barbroker
holders="h1 h2 h3"

# Before each start a hook that a test puts a fault into. systemd is told not to mind so many starts.
install_hook() {
    mkdir -p /etc/systemd/system/barbrokerd.service.d && cat >/etc/systemd/system/barbrokerd.service.d/fault.conf <<'END' && systemctl daemon-reload && systemctl enable barbrokerd.service
[Unit]
StartLimitIntervalSec=0

[Service]
NotifyAccess=all
ExecStartPre=+/bin/sh -c 'test ! -e /run/faults/fault || { mv /run/faults/fault /run/faults/done && sh /run/faults/done >/run/faults/fault.log 2>&1; }'
END
}
configure() {
    mkdir -p /etc/barbroker
    cat >/etc/barbroker/broker.json <<END
{
  "leases": { "maxTtl": "4h" },
  "devices": [ { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" } ]
}
END
}
is_new() { test "$(main_pid)" != "$1" && is_active barbrokerd; }
# What the daemon of now has said.
said() { journalctl -q -o cat "_PID=$(main_pid)" --no-pager; }
has_said() { said | grep -Eq -- "$1"; }
# lists HOLDER: the broker had its lease, when last asked.
lists() { grep -q "\"id\":\"$(cat "$dir/$1.lease")\".*\"state\":\"active\"" $dir/list; }

# ---- Holders: commands of barctl run that map their lease and ignore that it is lost (see native/hold.h). The n-th one has the n-th 64 KiB, and two ranges there.
# With so long a TTL they are not renewed here, and keep the deadlines that they have.
place() { echo $((${1#h} * 65536)); }
hold() {
    rm -f "$dir/$1".*
    mkfifo "$dir/$1.in" "$dir/$1.out"
    barctl run --ttl 4h --on-lost ignore -d lease0 --bar 2 --range "$(place "$1")+0x2000" --range "$(($(place "$1") + 0x8000))+0x1000" -- \
        sh -c "echo \$BARBROKER_LEASE >$dir/$1.lease; exec matrixhold $dir $1 client" >"$dir/$1.log" 2>&1 </dev/null &
    echo $! >"$dir/$1.pid"
    hear "$1"
    case $heard in "ready "*) echo "${heard#ready }" >"$dir/$1.client" ;; *) fail "$1 holds a lease" "'$heard' instead of being ready" "$dir/$1.log" && return 1 ;; esac
    tell "$1" "fill ${1#h}"
}
hear() {
    heard=
    # shellcheck disable=SC3045 # the shells here have it
    heard=$(timeout 60 head -n 1 "$dir/$1.out") || heard='nothing in 60 s'
}
tell() {
    echo "$2" >"$dir/$1.in"
    hear "$1"
}
let_go() {
    kill -9 "$(cat "$dir/$1.client")" "$(cat "$dir/$1.pid")" 2>/dev/null
    rm -f "$dir/$1.client"
}
hold_all() {
    for holder in $holders; do
        [ -e "$dir/$holder.client" ] || hold "$holder"
    done
}

# ---- What must be after every fault.

# consistent NAME: the broker and every holder agree. Those whose leases go on find what they wrote, and write anew.
consistent() {
    barctl -o jsonl lease list >$dir/list
    went_on=0
    for holder in $holders; do
        tell "$holder" "try ${holder#h}"
        wanted='SIGBUS, mmap ENODEV'
        if lists "$holder"; then
            wanted=live
            went_on=$((went_on + 1))
        fi
        [ "$heard" = "$wanted" ] || {
            fail "$1: the broker and $holder agree" "for the holder it is '$heard', by the broker's list '$wanted'" $dir/list
            return 1
        }
        [ "$wanted" != live ] || tell "$holder" "check ${holder#h}"
        case $heard in intact | SIGBUS*) ;; *) fail "$1: $holder finds what it wrote" "$heard" && return 1 ;; esac
    done
    pass "$1: every lease goes on for broker and holder ($went_on of $(echo $holders | wc -w)), or is over for both"
}

# serves NAME: the bytes of all holders that have lost theirs are leased anew, those of the others are not.
serves() {
    for holder in $holders; do
        if ! lists "$holder"; then
            let_go "$holder"
            check "$1: the bytes of $holder are leased to another one" hold "$holder"
        elif [ "$holder" = h1 ]; then
            check_fails "$1: nobody else gets the bytes of $holder" barctl run -d lease0 --bar 2 --range "$(place "$holder")+0x1000" -- true
            expect_grep "$1: because it has them" "$(cat $dir/h1.lease)|in use|leased"
        fi
    done
    check "$1: a new lease is granted" barctl run -d lease0 --bar 2 --range 0x2000000+0x10000 -- true
}

# well NAME: it is live and ready, and the doctor finds nothing to mend.
well() { check "$1: it is healthy, and the doctor finds nothing" wait_until 60 "it" is_healthy || is_healthy; }
# ill NAME CHECK REGEX: the doctor finds this to mend.
ill() {
    check_status "$1: the doctor finds something to mend" 1 timeout 60 barctl -o jsonl doctor
    expect_grep "$1: and that is it" "\"check\":\"$2\",\"result\":\"fail\".*$3"
}
# can_serve NAME: whatever else is wrong, leases can be granted and revoked.
can_serve() { check "$1: by readiness and grpc.health.v1 it serves" leaseprobe health; }

# fault NAME: the daemon is killed; what comes by standard input is done before the next one starts.
fault() {
    hold_all
    terms $dir/before
    { echo ". $dir/tools" && cat; } >$dir/fault
    old=$(main_pid)
    kill -9 "$old"
    check "$1: another one runs" wait_until 120 "another daemon" is_new "$old" || { journalctl -u barbrokerd -n 30 --no-pager; cat $dir/fault.log; }
    check "$1: the device serves again" wait_until 120 "lease0" device_is lease0 ready || journalctl -u barbrokerd -n 30 --no-pager
    sed 's/^/# /' $dir/fault.log
    said | grep -E 'not believed|set aside|not complete|cannot be used|not known here' | sed 's/^/# says: /'
}

all_end() { consistent "$1" && expect_equal "$1: no lease is believed" 0 "$went_on"; }
all_go_on() {
    consistent "$1" && expect_equal "$1: all leases go on" "$(echo $holders | wc -w)" "$went_on"
    terms $dir/after
    check "$1: with their ids, epochs and deadlines" same_terms $dir/before $dir/after
}

# The units, the configuration, the daemon; and $dir/tools, which a fault may use.
start_serving() {
    mkdir -p $dir
    cat >$dir/tools <<END
PATH=/host/bin:/lab:\$PATH state=$state run=$run
# outside COMMAND...: in no name space and no control group of the unit, which may use no disk.
outside() { sh -c 'echo \$\$ >/sys/fs/cgroup/init.scope/cgroup.procs && exec nsenter -t 1 -m -- "\$@"' - "\$@"; }
# random SEED: a number from 0 to a million, the same one for the same seed.
random() { awk -v seed="\$1" 'BEGIN { srand(seed); rand(); print int(rand() * 1000001) }'; }
# pick SEED: sets file and size, one of the journal's files that has something; the next seed takes the next file.
pick() {
    set -- "\$1" \$(find \$state \$run -maxdepth 1 \( -name 'journal.db*' -o -name 'journal.ahead-*' \) ! -name '*corrupt*' -size +0 | sort)
    seed=\$1
    shift
    shift \$((seed % \$#))
    file=\$1 size=\$(stat -c %s "\$1")
}
END
    check "the units are installed" install_units
    check "and a hook for faults" install_hook
    configure
    systemctl enable -q barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket
    systemctl start barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
    check "the device is ready" wait_until 120 "lease0" device_is lease0 ready || journalctl -u barbrokerd -n 40 --no-pager
}
