# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The daemon is killed under the real systemd, and what it left for its next run is damaged before that one starts: its journal, systemd's store of descriptors. Clients hold leases of a real device meanwhile,
# map them and write to them. After each fault every lease goes on or is dead for its holder, never anything in between, it is said why, the device serves, and health and doctor find nothing.
#   t-systemd-faults.sh [SEED [ROUNDS]]
# shellcheck source=/dev/null
. lab.sh
. systemd.sh
. faults.sh
needs barbrokerd barctl leaseprobe matrixhold storectl
seed=${1:-$(($(od -An -N3 -tu4 /dev/urandom)))}
rounds=${2:-2}

echo "# seed $seed"
start_serving

well "at first"
# As long as no daemon runs, systemd takes the connections.
fault "killed" <<'END'
timeout 60 barctl -o jsonl doctor >/run/faults/doctor
echo "status $?" >>/run/faults/doctor
timeout 60 leaseprobe health >/run/faults/health
echo "status $?" >>/run/faults/health
END
all_go_on "killed"
expect_grep "while no daemon runs: the doctor says so" '"check":"broker","result":"fail".*accepts connections, and has not answered' $dir/doctor
expect_grep "while no daemon runs: and exits with 1" '^status 1$' $dir/doctor
expect_grep "while no daemon runs: readiness is not answered" '^readyz: .*refused' $dir/health
expect_grep "while no daemon runs: health neither" '^broker.sock: ' $dir/health
expect_grep "while no daemon runs: it is not healthy" '^status 1$' $dir/health
well "killed"

# What an operator does is no fault, and yet a broker with one device does not serve then.
check "the device is cordoned" barctl device cordon lease0
check_fails "cordoned: it does not serve" leaseprobe health
expect_grep "cordoned: readiness says why" '^readyz: 503 lease0 is cordoned'
expect_grep "cordoned: health says so to clients" '^broker.sock: NotServing'
check "cordoned: the doctor has nothing to mend" barctl -o jsonl doctor
expect_grep "cordoned: and says it" '"check":"served","result":"warn".*lease0 is cordoned'
check "the device is uncordoned" barctl device uncordon lease0
well "uncordoned"

round=0
while [ $round -lt "$rounds" ]; do
    round=$((round + 1))
    number=$((seed + 2 * round))
    # By turns with what is in the runtime directory, which has all that is new, and without.
    with=$((round % 2))
    fault "truncated, seed $number" <<END
[ $with = 1 ] || rm -f \$run/journal.ahead-*
pick $number
to=\$((size * \$(random $number) / 1000001))
echo "truncates \$file of \$size bytes to \$to"
truncate -s \$to \$file
END
    consistent "truncated, seed $number"
    serves "truncated, seed $number"
    well "truncated, seed $number"

    number=$((number + 1))
    spots=$((round * round * round))
    fault "garbage, seed $number" <<END
[ $with = 1 ] || rm -f \$run/journal.ahead-*
pick $number
echo "writes garbage to $spots places in \$file of \$size bytes"
for spot in \$(seq $spots); do
    at=\$((size * \$(random $number\$spot) / 1000001))
    awk -v seed="$number\$spot" 'BEGIN { srand(seed); for (i = 0; i < 24; i++) printf "%c", 33 + int(rand() * 90) }' | dd of=\$file bs=1 seek=\$at conv=notrunc status=none
done
END
    consistent "garbage, seed $number"
    serves "garbage, seed $number"
    well "garbage, seed $number"
done

fault "journal deleted" <<'END'
rm -f $state/journal.db* $run/journal.ahead-*
END
all_end "journal deleted"
check "journal deleted: it is said why" has_said 'not believed.*the journal has no record of it'
serves "journal deleted"
well "journal deleted"

# ---- Descriptors in systemd's store. The fd of the dmabuf in a holder's process, as matrixhold has it.
kept_name() { echo "L$(sed 's/^ls-//' "$dir/$1.lease")"; }
dmabuf_of() { ls -l "/proc/$(cat "$dir/$1.client")/fd" | sed -n 's|.* \([0-9]*\) -> /dmabuf:.*|\1|p' | head -n 1; }
in_process() { echo "$(cat "$dir/$1.client") $(dmabuf_of "$1")"; }

hold_all
fault "a descriptor is missing" <<END
storectl drop $(kept_name h2)
END
all_end "a descriptor is missing"
check "a descriptor is missing: it is said which" has_said "not believed.*buffer 0 of lease $(cat $dir/h2.lease) was not kept"
serves "a descriptor is missing"
well "a descriptor is missing"

hold_all
fault "two buffers are swapped" <<END
storectl drop $(kept_name h1) && storectl drop $(kept_name h2)
storectl keep $(kept_name h1) $(in_process h2) && storectl keep $(kept_name h2) $(in_process h1)
END
all_end "two buffers are swapped"
check "two buffers are swapped: it is said" has_said 'not believed.*buffer 0 of lease .* was not kept'
serves "two buffers are swapped"
well "two buffers are swapped"

hold_all
fault "a file in the place of a buffer" <<END
storectl drop $(kept_name h3)
truncate -s 12288 /run/stranger && storectl keep $(kept_name h3) /run/stranger
END
all_end "a file in the place of a buffer"
check "a file in the place of a buffer: it is said" has_said "not believed.*buffer 0 of lease $(cat $dir/h3.lease) was not kept"
serves "a file in the place of a buffer"
well "a file in the place of a buffer"

hold_all
fault "strangers in the store" <<END
truncate -s 4096 /run/other && storectl keep stranger /run/other
storectl keep Lzzzz /dev/null
END
all_go_on "strangers in the store"
check "strangers in the store: it is said" wait_until 20 "it" has_said 'stranger|Lzzzz'
serves "strangers in the store"
well "strangers in the store"

fault "the board is missing" <<END
storectl drop board
END
all_end "the board is missing"
check "the board is missing: it is said" has_said 'not complete: the board of its leases was not kept'
serves "the board is missing"
well "the board is missing"

done_testing
