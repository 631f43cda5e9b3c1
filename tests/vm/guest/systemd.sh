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
