# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The daemon as a service of systemd, installed as a package does it: who owns what, activation of each socket, reload, watchdog, the journal's fields, what its sandbox lets
# through, and that it comes up after a boot.
# lab: reboots
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl sandboxprobe systemctl journalctl udevadm usermod

unit=barbrokerd.service
sockets="barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket"
run=/run/barbroker
export BARBROKER_RUNTIME_DIR=$run

property() { systemctl show -P "$1" "${2:-$unit}"; }
is() { [ "$(property "$1")" = "$2" ]; }
owner() { stat -c '%U:%G %a' "$1"; }
is_ready() { barctl -o jsonl device list | grep "\"name\":\"$1\"" | grep -q '"state":"ready"'; }
logged() { wait_until 20 "the journal to have $*" sh -c 'journalctl -q -o cat "$@" | grep -q .' -- "$@"; }

# configure [MORE]: writes the configuration.
configure() {
    cat >/etc/barbroker/broker.json <<END
{
  ${1:-}
  "devices": [
    { "name": "lease0", "kind": "vfio", "address": "$(address_of lease0)" },
    { "name": "sim0", "kind": "simulated", "bars": [ { "index": 0, "size": "1MiB" } ] },
  ],
}
END
}

install_files() {
    mkdir -p /usr/lib/barbroker /etc/barbroker
    cp /lab/barbrokerd /lab/barctl /lab/*.so /usr/lib/barbroker/
    ln -sf ../lib/barbroker/barbrokerd /usr/sbin/barbrokerd
    ln -sf ../lib/barbroker/barctl /usr/bin/barctl
    sh /lab/systemd/install
    # Has udev read the rules now, when there is no such user yet.
    udevadm trigger --subsystem-match=vfio --subsystem-match=vfio-dev --action=change --settle
    systemd-sysusers
    systemd-tmpfiles --create barbroker.conf
    # As docs/security.md says, for a device of vfio-pci that others have bound.
    cat >/etc/udev/rules.d/72-local.rules <<END
SUBSYSTEM=="vfio", TEST=="/sys/kernel/iommu_groups/\$kernel/devices/$(address_of edu0)", OWNER="barbroker", MODE="0600"
SUBSYSTEM=="vfio-dev", KERNELS=="$(address_of edu0)", OWNER="barbroker", MODE="0600"
END
    udevadm control --reload
    udevadm trigger --subsystem-match=vfio --subsystem-match=vfio-dev --action=add --settle
    systemctl daemon-reload
    for user in alice bob; do usermod -aG barbroker $user; done
    usermod -aG barbroker-admin olga
}

after_boot() {
    check "after a boot the daemon is there by itself" wait_until 60 "the daemon" is ActiveState active
    udev=$(property InactiveExitTimestampMonotonic systemd-udev-trigger.service)
    check "it was started after udev was asked for the devices" test "$udev" -gt 0 -a "$(property ExecMainStartTimestampMonotonic)" -gt "$udev"
    check "and serves its device, whose node udev has given to it" wait_until 60 lease0 is_ready lease0
    expect_equal "the node is the daemon's" "barbroker:root 600" "$(owner "$(node_of lease0)")"
    expect_equal "admin.sock is the operators'" "root:barbroker-admin 660" "$(owner $run/admin.sock)"
    check "alice leases" as alice barctl run -d lease0 -b 2 -s 4KiB -- true
    done_testing
}

# The second time around: see the end.
if [ -e /var/lib/lab-rebooted ]; then
    # shellcheck source=/dev/null
    . /var/lib/lab-rebooted
    after_boot
fi

check "the files, the users, the directory" install_files
check "udev has given lease0 away, by rules that were there before the user" sh -c "stat -c %U $(node_of lease0) | grep -qx barbroker"
configure
check "sockets and service are enabled and started" systemctl enable --now $sockets $unit
check "the daemon is active" is ActiveState active
check "it serves lease0" wait_until 60 lease0 is_ready lease0

# Who owns what.
pid=$(property MainPID)
expect_equal "it runs as its own user" barbroker "$(stat -c %U "/proc/$pid")"
expect_equal "without a capability" 0000000000000000 "$(sed -n 's/^CapBnd:\t//p' "/proc/$pid/status")"
expect_equal "and gets none" 1 "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pid/status")"
expect_equal "the runtime directory" "barbroker:barbroker 755" "$(owner $run)"
expect_equal "the state" "barbroker:barbroker 700" "$(owner /var/lib/barbroker)"
expect_equal "broker.sock" "root:barbroker 660" "$(owner $run/broker.sock)"
expect_equal "fd.sock" "root:barbroker 660" "$(owner $run/fd.sock)"
expect_equal "admin.sock" "root:barbroker-admin 660" "$(owner $run/admin.sock)"
expect_equal "what clients could read of the broker's own files" "" "$(find $run /var/lib/barbroker -type f -perm /077)"
expect_equal "the node of a device of vfio-bar-lease is the daemon's" "barbroker:root 600" "$(owner "$(node_of lease0)")"
expect_equal "that of a device of vfio-pci is not" root "$(stat -c %U "$(node_of shm0)")"
check_fails "a client cannot open the device itself" as alice sh -c ": <>$(node_of lease0)"
expect_equal "unless a rule says so" "barbroker:root 600" "$(owner "$(node_of edu0)")"
check "bound by barctl, a device of vfio-pci becomes the daemon's" barctl device bind "$(address_of shm1)" --driver vfio-pci
expect_equal "its node" barbroker "$(stat -c %U "$(node_of shm1)")"

check "alice leases" as alice barctl run -d lease0 -b 2 -s 4KiB -- true
check_status "mallory does not" 5 as mallory barctl run -d lease0 -b 2 -s 4KiB -- true
check "olga operates" as olga barctl status
check_status "alice does not" 5 as alice barctl status
check "systemctl says how it is" is StatusText "$(property StatusText)"
check "with devices and leases" wait_until 20 "the status" sh -c "systemctl show -P StatusText $unit | grep -q '2 of 2 devices ready, 0 leases'"

# The journal.
# shellcheck disable=SC2016 # for the shell that has the lease
lease=$(as alice barctl run -d lease0 -b 2 -s 4KiB -- sh -c 'echo "$BARBROKER_LEASE"')
check "what was logged of a lease is found by its id" logged "LEASE=$lease"
check "and by its device and user" logged DEVICE=lease0 UID=1001
check "with the event's number" logged DEVICE=lease0 EVENT_ID=1
expect_equal "as text without decoration" 1 "$(journalctl -q -o cat "LEASE=$lease" EVENT_ID=1 | grep -c "^Lease $lease on lease0 granted: ")"
expect_equal "by the daemon's name" barbrokerd "$(journalctl -q -o json "LEASE=$lease" | sed -n '1s/.*"SYSLOG_IDENTIFIER":"\([^"]*\)".*/\1/p')"
check "what ended tells why" logged "LEASE=$lease" EVENT_ID=5 REASON=Released

# Health.
expect_equal "it is live" ok "$(busybox wget -q -O - http://127.0.0.1:9464/healthz)"
expect_equal "it is ready" ok "$(busybox wget -q -O - http://127.0.0.1:9464/readyz)"

# Activation.
inode=$(stat -c %i $run/broker.sock)
activated() { # activated NAME COMMAND...
    activated_by=$1
    shift
    systemctl stop $unit
    check "stopped, it is gone" is ActiveState inactive
    check "who connects to $activated_by starts it" "$@"
    check "it is active" wait_until 30 "the daemon" is ActiveState active
}
activated broker.sock as alice barctl device list
activated fd.sock as alice sandboxprobe dial $run/fd.sock
activated admin.sock as olga barctl status
expect_equal "the sockets are the same ever since" "$inode" "$(stat -c %i $run/broker.sock)"
check "all went to one daemon, which binds none itself" sh -c "! journalctl -q -o cat -u $unit | grep -i 'cannot be made'"

# Reload.
deny='"policy": { "rules": [ { "name": "bob", "match": { "uid": "bob" }, "deny": true }, { "name": "all", "match": {}, "lease": {}, "operator": "all" } ] },'
check "bob leases" as bob barctl run -d sim0 -s 4KiB -- true
pid=$(property MainPID)
configure "$deny"
check "systemctl reload returns when the configuration is in force" systemctl reload $unit
check_status "bob does not any more" 5 as bob barctl run -d sim0 -s 4KiB -- true
configure
check "so does SIGHUP" systemctl kill -s HUP $unit
check "bob leases again" wait_until 30 "the configuration" as bob barctl run -d sim0 -s 4KiB -- true
configure '"nonsense": 1,'
systemctl reload $unit
check "a faulty configuration is told of" logged EVENT_ID=422
check "and changes nothing" as bob barctl run -d sim0 -s 4KiB -- true
configure
systemctl reload $unit
expect_equal "it is the same daemon" "$pid" "$(property MainPID)"

# Watchdog.
fed() { [ $(($(cut -d. -f1 /proc/uptime) - $(property ActiveEnterTimestampMonotonic) / 1000000)) -gt 15 ]; }
check "for longer than the watchdog waits" wait_until 60 "15 s" fed
expect_equal "it has fed it" "0 success" "$(property NRestarts) $(property Result)"
kill -STOP "$pid"
has_restarted() { [ "$(property NRestarts)" = 1 ] && is ActiveState active; }
check "one that stands still is killed and started again" wait_until 60 "the restart" has_restarted
check "as systemd says" logged -u $unit -g 'Watchdog timeout'
check "it serves" wait_until 60 lease0 is_ready lease0

# The sandbox. The same unit with another program, and for comparison the same program without the unit.
score=$(systemd-analyze security --no-pager $unit | sed -n 's/.*exposure level.*: \([0-9.]*\).*/\1/p')
check "systemd-analyze's exposure level is at most 1.5: $score" awk "BEGIN { exit !($score <= 1.5) }"
systemctl stop $unit
echo secret >/home/alice/file
echo other >/tmp/foreign
chmod 644 /home/alice/file /tmp/foreign
mkdir -p /mnt
# shellcheck disable=SC2046 # major and minor number
mknod -m 666 /dev/foreign b $(stat -c '0x%t 0x%T' /dev/vda)
ip route add 10.0.2.0/24 dev lo
as alice sleep 1000 &
other=$(until pgrep -u alice sleep; do sleep 0.1; done)
{
    sed -e '/^\(Type\|ExecStart\|Sockets\|Restart\|RestartPreventExitStatus\|WatchdogSec\|NotifyAccess\|FileDescriptorStore.*\)=/d' \
        -e "s|^\[Service\]|&\nType=oneshot\nStandardOutput=truncate:/run/probe.inside\nExecStart=/host/bin/sandboxprobe sandbox $other $(node_of lease0) /dev/foreign|" \
        /usr/lib/systemd/system/$unit
} >/run/systemd/system/probe.service
systemctl daemon-reload
check "the probe runs as the unit does" systemctl start probe.service
sandboxprobe sandbox "$other" "$(node_of lease0)" /dev/foreign >/run/probe.outside

inside() { # inside NAME RESULTS: in the unit, one of these; outside of it, it can be done.
    expect_grep "outside of the sandbox: $1" "^$1 ok$" /run/probe.outside
    expect_grep "in the sandbox: $1 is $2" "^$1 ($2)$" /run/probe.inside
}
for name in own-device null socket-unix bind-metrics send-loopback write-own write-state; do inside $name ok; done
for name in foreign-device bind-other send-elsewhere ptrace process-vm-readv kill clock-settime unshare-user mount setuid-root chmod-setuid bpf; do inside $name EPERM; done
for name in socket-netlink socket-packet; do inside $name EAFNOSUPPORT; done
for name in home home-file root-home foreign-tmp; do inside $name 'EACCES|ENOENT'; done
for name in disk kernel-log; do inside $name 'EACCES|EPERM'; done
for name in write-etc write-usr write-sysctl write-run; do inside $name 'EROFS|EACCES'; done
for name in mmap-writable-executable mprotect-executable; do inside $name 'EPERM|EACCES'; done

# What docs/security.md has for those who need more.
mkdir /run/systemd/system/probe.service.d
cat >/run/systemd/system/probe.service.d/more.conf <<END
[Service]
CapabilityBoundingSet=CAP_KILL CAP_SYS_PTRACE
AmbientCapabilities=CAP_KILL CAP_SYS_PTRACE
SocketBindAllow=tcp:9465
IPAddressAllow=10.0.2.0/24
END
systemctl daemon-reload
check "the probe runs with a drop-in" systemctl start probe.service
for name in kill bind-other send-elsewhere; do expect_grep "with it: $name" "^$name ok$" /run/probe.inside; done
for name in ptrace mount setuid-root; do expect_grep "not even with it: $name" "^$name EPERM$" /run/probe.inside; done
kill "$other"

# A boot. What comes after it is at the beginning.
set | grep '^lab_' >/var/lib/lab-rebooted
systemctl start --no-block reboot.target
sleep 1000
