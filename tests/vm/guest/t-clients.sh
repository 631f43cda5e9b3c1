# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two users on one device: who may, whose turn it is, whom a higher priority takes from, what death ends; and a clock that is set a year ahead and a year back meanwhile, which changes nothing.
# shellcheck source=/dev/null
. lab.sh
needs barbrokerd barctl leaseprobe

export BARBROKER_RUNTIME_DIR=/run/barbroker
device=lease0
[ -e /host/modules/vfio_bar_lease.ko ] || device=shm0
cat >/tmp/broker.json <<END
{
  "metrics": { "enabled": false },
  "devices": [ { "name": "$device", "kind": "vfio", "address": "$(address_of $device)" } ],
  "policy": { "rules": [
    { "name": "alice", "match": { "uid": "alice" }, "lease": { "recallGrace": "4s" } },
    { "name": "bob", "match": { "uid": "bob" }, "lease": { "maxPriority": 10, "mayPreempt": true } },
    { "name": "left", "match": { "uid": "mallory" }, "deny": true, "message": "this account is closed" }
  ] }
}
END
barbrokerd --config /tmp/broker.json >/tmp/broker.log 2>&1 &
is_ready() { barctl -o jsonl device list | grep -q '"state":"ready"'; }
check "the daemon serves $device" wait_until 60 "$device" is_ready

now() { cut -d. -f1 /proc/uptime; }

# work USER NAME BYTES OPTION...: a client with a work loop, in the background, that tells in /tmp/NAME.out what happens to it.
work() {
    work_user=$1
    work_name=$2
    shift 2
    rm -f "/tmp/$work_name.out"
    as "$work_user" leaseprobe work $device "$@" bar=2 >"/tmp/$work_name.out" 2>&1 </dev/null &
}

# said NAME SECONDS TEXT: it says so, now or soon.
said() { wait_until "$2" "$1 to say $3" grep -q "^$3" "/tmp/$1.out"; }
lease_of() { sed -n 's/^leased //p' "/tmp/$1.out"; }
field() { barctl -o jsonl lease show "$(lease_of "$1")" | sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
has_ended() { [ "$(field "$1" state)" = ended ]; }
tell() { kill "-$2" "$(field "$1" pid)"; }
queue() { barctl -o jsonl lease queue | grep -c "\"position\":$1,.*\"uid\":$2,"; }

# Who may.
check_status "mallory cannot open the socket" 5 as mallory barctl device list
chmod 666 $BARBROKER_RUNTIME_DIR/broker.sock $BARBROKER_RUNTIME_DIR/fd.sock
expect_equal "if she could, she would see no device" "" "$(as mallory barctl -o jsonl device list 2>/dev/null)"
check_status "and get no lease" 5 as mallory barctl lease acquire -d $device -b 2 -s 4KiB
expect_grep "by the policy's word" 'policy rule left refuses uid 1003: this account is closed'
chmod 660 $BARBROKER_RUNTIME_DIR/broker.sock $BARBROKER_RUNTIME_DIR/fd.sock

# The clock. Alice works, bob hangs from now on, and he waits for what is never free. Nobody's time is anywhere near a year.
# when NAME COMMAND...: in the background; its status and the uptime at its end are then in /tmp/NAME.end.
when() {
    when_name=$1
    shift
    (
        when_status=0
        "$@" >/tmp/"$when_name".log 2>&1 </dev/null || when_status=$?
        echo "$when_status $(now)" >"/tmp/$when_name.end"
    ) &
}
work alice worker 65536 ttl=12 hang=12
check "alice works" said worker 30 leased
work bob hung 65536 ttl=24
check "bob works" said hung 30 leased
tell hung USR1
check "bob hangs" said hung 10 hung
hung_at=$(now)
when hung said hung 120 lost
when waiter as bob barctl lease acquire -d $device -b 2 -s 64MiB --wait 20s
waits_since=$(now)
today=$(date +%s)
year=$((366 * 24 * 3600))
check "he waits" wait_until 15 "the queue" queue 1 1002
check "the clock goes a year ahead" date -s "@$((today + year))"
sleep 1
expect_equal "both leases live on" 2 "$(barctl -o jsonl lease list | grep -c '"state":"active"')"
check_fails "he still waits" test -e /tmp/waiter.end
check "the clock goes a year back" date -s "@$((today - year))"
check "bob's lease ends" wait_until 60 "the end" test -e /tmp/hung.end
lived=$(($(cut -d' ' -f2 /tmp/hung.end) - hung_at))
echo "# it lived for $lived s of the 16 to 24 s that were left of its TTL"
check "by its TTL, as the uptime counts it" test $lived -ge 14 -a $lived -le 60
expect_equal "for want of heartbeats" expired "$(field hung end_reason)"
expect_equal "alice's lease lives on" active "$(field worker state)"
check "his wait is over, too" wait_until 60 "the end" test -e /tmp/waiter.end
waited=$(($(cut -d' ' -f2 /tmp/waiter.end) - waits_since))
echo "# it took $waited s"
expect_equal "he is refused" 1 "$(cut -d' ' -f1 /tmp/waiter.end)"
expect_grep "after the time that he wanted to wait" 'waited for 20 s: ' /tmp/waiter.log
check "as the uptime counts it" test $waited -ge 19 -a $waited -le 60
check "the clock is right again" date -s "@$((today + $(now) - hung_at))"
tell worker USR2
check "alice gives her lease back" wait_until 30 "the end" has_ended worker
expect_equal "which she had until then" released "$(field worker end_reason)"

# Whose turn it is.
work alice all $((64 << 20))
check "alice has all" said all 30 leased
work bob next 4096 wait=120
check "bob waits for her" wait_until 30 "the queue" queue 1 1002
tell all KILL
check "when she is killed, he gets it" said next 30 leased
check "her lease ends" wait_until 30 "the end" has_ended all
expect_equal "by her death" client_exited "$(field all end_reason)"
tell next USR2
check "he gives it back" wait_until 30 "the end" has_ended next
expect_equal "of his own accord" released "$(field next end_reason)"

# Priorities.
if [ $device = lease0 ]; then
    work alice older $((32 << 20))
    check "alice has one half" said older 30 leased
    work alice younger $((32 << 20))
    check "and the other" said younger 30 leased
    work bob preempts $((16 << 20)) priority=10 wait=120
    check "bob, of a higher priority, gets room" said preempts 60 leased
    expect_grep "the younger lease was recalled for it" '^recalled Preempted [1-4](\.|$| )' /tmp/younger.out
    check "and lost" said younger 10 "lost Preempted"
    expect_equal "the older one was not" active "$(field older state)"
    check_fails "nor asked for" grep recalled /tmp/older.out
    tell older KILL
    tell preempts KILL
else
    skip "a higher priority takes from a lower one" "there is no kernel/ in this tree, and a device that is revoked as a whole serves one user at a time"
fi

# barctl is a client as any other.
# shellcheck disable=SC2016 # for the client's shell to expand
as bob barctl run -d $device -b 2 -s 4KiB -- sh -c 'echo "leased $BARBROKER_LEASE"; exec sleep 1000' >/tmp/run.out 2>&1 </dev/null &
check "barctl runs a command with a lease" said run 30 leased
tell run KILL
check "when barctl is killed, the lease ends" wait_until 30 "the end" has_ended run
expect_equal "by its death" client_exited "$(field run end_reason)"
nothing_leased() { [ -z "$(barctl -o jsonl lease list)" ]; }
check "nothing is left" wait_until 30 "no lease" nothing_leased
check_fails "the daemon logged no error" grep -E ' (fail|crit): ' /tmp/broker.log
done_testing
