# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The floor of a restart: what systemd alone takes, with a copy of the daemon's unit and its sockets, as many descriptors in its store, and a program that does nothing (native/floor.c). To be read after systemd.sh.

# floor_start DESCRIPTORS
floor_start() {
    lab_units=/usr/lib/systemd/system
    for lab_socket in barbrokerd barbrokerd-fd barbrokerd-admin; do
        sed 's|/run/barbroker/|/run/floor/|; s/barbrokerd/floor/' $lab_units/$lab_socket.socket >"/run/systemd/system/floor${lab_socket#barbrokerd}.socket"
    done
    sed "s|^ExecStart=.*|ExecStart=/host/bin/floor serve $1|; s|^\(Runtime\|State\)Directory=.*|\1Directory=floor|; s/barbrokerd/floor/g" $lab_units/barbrokerd.service >/run/systemd/system/floor.service
    systemctl daemon-reload
    systemctl start floor.socket floor-fd.socket floor-admin.socket floor || return 1
    # All are in the store before it is ready.
    wait_until 60 "the floor's store" test "$(systemctl show -P NFileDescriptorStore floor)" -ge "$1" || return 1
    floor ask /run/floor/broker.sock >/tmp/floor.out &
    floor_client=$!
}

floor_gaps() { grep -c '^gap' /tmp/floor.out; }
floor_answers() { [ "$(floor_gaps)" -gt "$1" ]; }

# floor_of ROUNDS COMMAND...: the command ends it; prints the median of the times without an answer, in ms.
floor_of() {
    lab_rounds=$1 lab_round=0
    shift
    while [ $lab_round -lt "$lab_rounds" ]; do
        lab_round=$((lab_round + 1)) lab_gaps=$(floor_gaps)
        systemctl reset-failed floor
        "$@" && sleep 1 && wait_until 120 "another process to answer" floor_answers "$lab_gaps" || return 1
    done
    tail -n "$lab_rounds" /tmp/floor.out | cut -d' ' -f2 | sort -n | sed -n "$(((lab_rounds + 1) / 2))p"
}

floor_stop() {
    kill "$floor_client"
    systemctl stop floor.socket floor-fd.socket floor-admin.socket floor
}
