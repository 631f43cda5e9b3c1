# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The Debian package on a system with dpkg and systemd: installed, it serves leases on a real device; a higher version takes over while they are held; an edited
# configuration stays; removed, the devices are free and nothing listens; purged, nothing is left but users; and installed again. The module that the lab's devices are
# on is the one that DKMS built from the other package, where that was done (see scripts/lab-package).
# shellcheck source=/dev/null
. lab.sh
# shellcheck source=/dev/null
. systemd.sh
# What the package brings, not what /lab has.
PATH=/host/bin:/host/guest:/usr/bin:/usr/sbin
packages=/lab/packages
needs dpkg systemctl usermod
configuration=/etc/barbroker/broker.json

version() { dpkg-query -W -f '${Version}' barbroker; }
is_inactive() { ! is_active "$1"; }
is_gone() { ! test -e "$1"; }
lease_is() { barctl -o jsonl lease show "$1" | grep -q "\"state\":\"$2\""; }
lines() { wc -l <"$1"; }
has_more_lines() { test "$(lines "$1")" -gt "$2"; }
mode_of() { stat -c '%a %U:%G' "$1"; }

# A client of alice that says something all the time, until it is ended with its lease, which is $lease.
start_client() {
    rm -f /tmp/client.out
    # shellcheck disable=SC2016 # for the client's shell to expand
    as alice barctl run -d lease0 --bar 2 --range 0x4000+0x1000 -- sh -c 'echo "lease $BARBROKER_LEASE"; while sleep 0.2; do echo; done' >/tmp/client.out 2>/tmp/client.err &
    client=$!
    check "a client has a lease of it" wait_until 120 "the client" grep -q '^lease ' /tmp/client.out || fail "the client has a lease" "it says" /tmp/client.err
    lease=$(sed -n 's/^lease //p' /tmp/client.out)
}

# use_module FILE: puts the devices of vfio-bar-lease on this one.
use_module() {
    names=$(awk '$7 == "vfio_bar_lease" || $7 == "vfio-bar-lease" { print $1 }' /run/lab/devices)
    for name in $names; do
        address=$(address_of "$name")
        echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind" || return
    done
    rmmod vfio_bar_lease && insmod "$1" || return
    for name in $names; do
        sh /host/guest/bind-devices "$name" || return
        test "$(driver_of "$name")" = vfio-bar-lease || return
    done
}

if [ -e $packages/vfio_bar_lease.ko ]; then
    check "the devices are on the module that DKMS has built" use_module $packages/vfio_bar_lease.ko
else
    skip "the devices are on the module that DKMS has built" "it was not built: see scripts/lab-package"
fi

check "the package installs" dpkg --install $packages/barbroker.deb
first=$(version)
check "its daemon runs" wait_until 120 "barbrokerd" is_active barbrokerd.service
for unit in barbrokerd.service barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket; do
    check "$unit is enabled" systemctl --quiet is-enabled $unit
done
expect_equal "its sockets are for the members of its groups" "660 root:barbroker 660 root:barbroker 660 root:barbroker-admin" \
    "$(for name in broker fd admin; do mode_of /run/barbroker/$name.sock; done | paste -sd ' ')"
expect_equal "its journal is for nobody else" "700 barbroker:barbroker" "$(mode_of /var/lib/barbroker)"
check "alice becomes a member" usermod -aG barbroker alice
check "and has a lease by the configuration that came with the package" as alice barctl run -d sim0 --size 4KiB -- true
check_fails "mallory is no member" as mallory barctl run -d sim0 --size 4KiB -- true

sed -i "s|^  \"devices\": \[|&\n    // here\n    { \"name\": \"lease0\", \"kind\": \"vfio\", \"address\": \"$(address_of lease0)\" },|" $configuration
check "with a device of this machine in its configuration it starts again" systemctl restart barbrokerd.service
check "and has the device" wait_until 120 "lease0 to be ready" device_is lease0 ready

start_client
before=$(main_pid)

check "a higher version is installed over it, with another configuration in it" install_package $packages/barbroker-next.deb
check "it is the higher one" dpkg --compare-versions "$(version)" gt "$first"
check "its daemon runs" wait_until 120 "barbrokerd" is_active barbrokerd.service
check "and is another process" test "$(main_pid)" != "$before"
check "the edited configuration stays" grep -q '// here' $configuration
check "the new one is beside it" test -e $configuration.dpkg-dist
check "the device is there" wait_until 120 "lease0 to be ready" device_is lease0 ready
# A daemon that knows this key keeps leases over a restart; one that does not has them revoked by the kernel, and says so.
printf '{ "restart": "preserve" }' >/tmp/preserve.json
if barctl policy check /tmp/preserve.json >/dev/null 2>&1; then
    check "the lease has outlived the upgrade" lease_is "$lease" active
    check "and so has the client" kill -0 $client
    count=$(lines /tmp/client.out)
    check "which goes on" wait_until 120 "another line of the client" has_more_lines /tmp/client.out "$count"
else
    skip "the lease has outlived the upgrade" "this daemon does not keep leases over a restart"
    check "the client has ended with its lease" wait_until 120 "the client's end" is_gone /proc/$client
    start_client
fi

barctl device bind --persist "$(address_of spare0)" >/tmp/bind.out 2>&1 || true
check "barctl has written a udev rule" grep -q "$(address_of spare0)" /etc/udev/rules.d/70-barbroker.rules
check "the package is removed" dpkg --remove barbroker
check "its daemon has ended" is_inactive barbrokerd.service
check "nothing listens" is_inactive barbrokerd.socket
check "its sockets are gone" is_gone /run/barbroker/broker.sock
check "its programs are gone" is_gone /usr/bin/barctl
check "the client has ended with its lease" wait_until 120 "the client's end" is_gone /proc/$client
check "the device is free for others" vfiocheck "$(address_of lease0)"
check "configuration and state are kept" test -e $configuration -a -e /var/lib/barbroker

check "what was removed is installed again" install_package $packages/barbroker-next.deb
check "with the configuration that was kept" grep -q '// here' $configuration
check "and serves" wait_until 120 "lease0 to be ready" device_is lease0 ready
check "alice is still a member" as alice barctl run -d lease0 --bar 2 --range 0x4000+0x1000 -- true

check "the package is purged" dpkg --purge barbroker
for name in /etc/barbroker /var/lib/barbroker /run/barbroker /etc/udev/rules.d/70-barbroker.rules; do check "$name is gone" is_gone $name; done
check "no unit of it is left" sh -c '! find /etc/systemd/system /var/lib/systemd/deb-systemd-helper-* -name "barbroker*" | grep .'
check "its users stay" grep -q '^barbroker:' /etc/passwd

check "it is installed after a purge" dpkg --install $packages/barbroker.deb
check "and runs" wait_until 120 "barbrokerd" is_active barbrokerd.service
check "as at first" as alice barctl run -d sim0 --size 4KiB -- true
done_testing
