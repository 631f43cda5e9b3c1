# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What becomes of leases of before a restart of the daemon is told to their clients at once, under the real systemd and its sockets: a client whose next heartbeat would come in 20 minutes hears of a recall,
# and its word that it knows arrives.
# shellcheck source=/dev/null
. lab.sh
# shellcheck source=/dev/null
. systemd.sh
needs barbrokerd barctl leaseprobe
dir=/tmp/notices
mkdir $dir

check "the units are installed" install_units
mkdir -p /etc/barbroker
cat >/etc/barbroker/broker.json <<END
{ "devices": [ $(entry_of lease0) ] }
END
is_new() { test "$(main_pid)" != "$1" && test "$(main_pid)" != 0 && timeout 60 barctl status; }
# Num RefCount Protocol Flags Type St Inode Path, where St is 03 for a connection.
is_connected() { grep -q '^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* 03 .*/barbroker/fd.sock$' /proc/net/unix; }
is_acknowledged() { barctl -o jsonl lease show "$1" | grep -q '"recall_acknowledged":true'; }
has_ended() { ! test -e "/proc/$1"; }

# tells NAME COMMAND...: the command ends the daemon; the next one tells a client of before of a recall.
tells() {
    name=$1
    shift
    leaseprobe work lease0 4096 bar=2 ttl=3600 recall=acknowledge >$dir/out 2>&1 &
    client=$!
    check "$name: a client has a lease" wait_until 300 "the lease" grep -q '^leased ' $dir/out || cat $dir/out
    lease=$(sed -n 's/^leased //p' $dir/out)
    old=$(main_pid)
    # Each start counts for StartLimitBurst=.
    systemctl reset-failed barbrokerd
    "$@" >$dir/command.out 2>&1 || fail "$name" "the command failed" $dir/command.out
    check "$name: another one runs" wait_until 300 "another daemon" is_new "$old" || journalctl -u barbrokerd -n 30 --no-pager
    check "$name: the client is connected again" wait_until 300 "the connection" is_connected || cat /proc/net/unix
    check "$name: the lease is recalled" barctl lease recall "$lease" --grace 10m --no-wait
    check "$name: the client hears of it" wait_until 300 "the notice" grep -q '^recalled Operator ' $dir/out || cat $dir/out
    check "$name: and says so" wait_until 300 "the acknowledgement" is_acknowledged "$lease" || barctl -o jsonl lease show "$lease"
    check "$name: the lease is revoked" barctl lease revoke "$lease"
    check "$name: the client hears of that" wait_until 300 "the notice" grep -q '^lost Operator' $dir/out || cat $dir/out
    check "$name: the client ends" wait_until 300 "the end" has_ended $client
}

systemctl start barbrokerd.socket barbrokerd-fd.socket barbrokerd-admin.socket barbrokerd
check "the device is ready" wait_until 120 "lease0" device_is lease0 ready || journalctl -u barbrokerd -n 40 --no-pager
tells "systemctl restart" systemctl restart barbrokerd
tells "SIGKILL" systemctl kill -s KILL barbrokerd
tells "watchdog" systemctl kill -s STOP barbrokerd
done_testing
