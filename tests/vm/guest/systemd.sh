# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What scripts about the daemon as systemd's service share: how it is installed, and what is asked of it. To be read after lab.sh.

# What a package does.
install_units() {
    sh /lab/systemd/install && cp /lab/barbrokerd /lab/*.so /usr/sbin/ \
        && systemd-sysusers && systemd-tmpfiles --create && { in_container || { udevadm control --reload && udevadm trigger --settle; }; } && systemctl daemon-reload
}

# With lab run --container, where there are no devices and no udevd.
in_container() { test -e /run/lab/container; }

# entry_of NAME: what the configuration says of a device of the lab; in a container, of a simulated one that has the BAR which lease0 and lease1 lease.
entry_of() {
    if in_container; then
        echo "{ \"name\": \"$1\", \"kind\": \"simulated\", \"bars\": [ { \"index\": 2, \"size\": \"64MiB\" } ] }"
    else
        echo "{ \"name\": \"$1\", \"kind\": \"vfio\", \"address\": \"$(address_of "$1")\" }"
    fi
}

# install_package FILE: installs it, or upgrades to it; the configuration that is there stays.
install_package() { dpkg --force-confdef --force-confold --install "$1"; }

is_active() { systemctl --quiet is-active "$1"; }
main_pid() { systemctl show -P MainPID barbrokerd.service; }
stored() { systemctl show -P NFileDescriptorStore barbrokerd.service; }
device_is() { timeout 10 barctl -o jsonl device list | grep "\"name\":\"$1\"" | grep -q "\"state\":\"$2\""; }

# The processes of the service, without a program that takes time from them.
service_processes() { while read -r lab_line; do echo "$lab_line"; done </sys/fs/cgroup/system.slice/barbrokerd.service/cgroup.procs 2>/dev/null; }

# terms FILE: of each lease its id, its epoch, the seconds from its grant to its deadline, and its age; and between which two times since boot the broker was asked.
terms() {
    lab_asked=$(cut -d' ' -f1 /proc/uptime)
    barctl -o jsonl lease list | sed -n 's/.*"id":"\([^"]*\)".*"epoch":\([0-9]*\).*"remaining_seconds":\([0-9.]*\).*"age_seconds":\([0-9.]*\).*/\1 \2 \3 \4/p' \
        | awk '{ printf "%s %s %.3f %.3f\n", $1, $2, $3 + $4, $4 }' | sort >"$1"
    echo "$lab_asked $(cut -d' ' -f1 /proc/uptime)" >"$1.asked"
}

# same_terms BEFORE AFTER: the same leases with the same epochs and deadlines, not later and not earlier, and as much older as time has gone by. For leases that were not renewed meanwhile. Prints what is not so.
same_terms() {
    awk -v asked="$(cat "$1.asked" "$2.asked" | xargs)" '
        BEGIN { split(asked, at); least = at[3] - at[2] - 0.05; most = at[4] - at[1] + 0.05 }
        function off(is, wanted) { return is - wanted > 0.05 || wanted - is > 0.05 }
        FNR == NR { epoch[$1] = $2; deadline[$1] = $3; age[$1] = $4; next }
        !($1 in epoch) { print $1, "was not there"; bad = 1; next }
        { seen[$1] = 1 }
        epoch[$1] != $2 { print $1, "had the epoch", epoch[$1] ", now", $2; bad = 1 }
        off($3, deadline[$1]) { print $1, "ended", deadline[$1], "s after its grant, now", $3; bad = 1 }
        $4 - age[$1] < least || $4 - age[$1] > most { print $1, "is", $4 - age[$1], "s older, by the clock", least, "to", most; bad = 1 }
        END { for (id in epoch) if (!(id in seen)) { print id, "is not there"; bad = 1 } exit bad }' "$1" "$2"
}

# is_healthy: it is live and ready by HTTP and by grpc.health.v1, and the doctor finds nothing to mend.
is_healthy() { timeout 60 leaseprobe health && timeout 60 barctl doctor; }
