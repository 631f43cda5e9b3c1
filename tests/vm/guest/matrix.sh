# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the scripts of the revocation matrix share: processes that are told what to do, the columns, the cells, and the table of what was seen.
# Sourced after lab.sh, with these set:
#   device, other   names of the device that the buffers are of, and of one beside it
#   program         what holds them: matrixhold maps, matriximport imports
#   ranges, beside  of BAR 2: the buffer that ends, and one that does not
#   dead            what a holder says after the end, an extended regular expression
#   refused         how a descriptor that was received after the end is refused
#   rows            of the table; the first is the client itself

m=/tmp/matrix
mkdir -m 1777 $m
: >$m/cells
columns=''
client_row=${rows%% *}
# How barctl is asked for $ranges.
request="--bar 2"
for range in $ranges; do request="$request --range $range"; done
buffer_size=0
for range in $ranges; do buffer_size=$((buffer_size + ${range#*+})); done

# ---- Processes

# name NAME: somebody will answer as NAME.
name() {
    rm -f "$m/$1".*
    mkfifo -m 666 "$m/$1.in" "$m/$1.out"
}

# start NAME COMMAND...: a process that answers as NAME (see native/hold.h), in the background. Its shell is $started.
start() {
    start_name=$1
    shift
    name "$start_name"
    "$@" >"$m/$start_name.log" 2>&1 </dev/null &
    started=$!
}

# hear NAME: the next line that it says, in $heard.
hear() {
    heard=
    # shellcheck disable=SC3045 # busybox has it
    IFS= read -r -t 60 heard <>"$m/$1.out" || broken "$1" "nothing in 60 s"
}

# order NAME REQUEST: without an answer.
order() { echo "$2" 1<>"$m/$1.in"; }

# tell NAME REQUEST: its answer is in $heard.
tell() {
    order "$1" "$2"
    hear "$1"
}

# must NAME REQUEST ANSWER
must() {
    tell "$1" "$2"
    [ "$heard" = "$3" ] || broken "$1" "'$heard' instead of '$3' when told '$2'"
}

# ready NAME: waits until it can be told something. Its process id is in $process.
ready() {
    hear "$1"
    case $heard in "ready "*) process=${heard#ready } ;; *) broken "$1" "'$heard' instead of being ready" ;; esac
}

# hand_on FROM TO: the descriptor that FROM has, by SCM_RIGHTS.
hand_on() {
    must "$1" "pass $m/$2.sock" passed
    hear "$2"
    [ "$heard" = 'has it' ] || broken "$2" "'$heard' when it was given the descriptor"
}

has_row() { case " $rows " in *" $1 "*) ;; *) return 1 ;; esac; }

# The processes that get the descriptor from the client.
start_receivers() {
    receivers=
    for receiver in passed unread; do
        start $receiver as bob "$program" $m $receiver $receiver
        ready $receiver
        receivers="$receivers $receiver"
    done
    # As root: others are refused for want of a permission, EACCES, before the kernel looks at what it is.
    start opath "$program" $m opath opath
    ready opath
    receivers="$receivers opath"
    if [ "$client_row" != importer ]; then
        start importer as bob matriximport $m importer passed
        ready importer
        receivers="$receivers importer"
    fi
}

give_to_receivers() {
    must "$client_row" "fill $seed" 'done'
    for receiver in $receivers; do hand_on "$client_row" "$receiver"; done
}

# split_child PROCESS: a child of it that has its mapping.
split_child() {
    has_row child || return 0
    name child
    tell "$1" "fork child"
    ready child
}

# all_live ROW...: before the end all that can be reached is.
all_live() {
    for row in "$@" passed importer child; do
        if has_row "$row"; then must "$row" "try $seed" live; fi
    done
    # No dmabuf can be opened again, at any time. What counts is that one of which only the path is kept is revoked like others.
    must opath "try $seed" ENXIO
}

# ---- Cells

# broken PROCESS TEXT: the matrix ends with its first broken cell.
broken() {
    fail "$column: $1" "process $1 saw $2" "$m/$1.log"
    echo "$1|$column|BROKEN" >>$m/cells
    print_matrix
    [ ! -s $m/broker.log ] || tail -n 20 $m/broker.log | sed 's/^/    # broker: /'
    done_testing
}

# cell ROW REGEX [NOTE]: what the process of this row says, after the end, must match; that is the cell.
cell() {
    tell "$1" "try ${4:-$seed}"
    echo "$heard" | grep -Eqx -- "$2" || broken "$1" "'$heard', wanted $2"
    record "$1" "$heard${3:+ ($3)}"
}

# record ROW TEXT: the table has room for the first word.
record() {
    pass "$column: $1: $2"
    echo "$1|$column|${2%%[ ,]*}" >>$m/cells
}

# What all see after the end but the client itself and the second buffer.
other_cells() {
    ! has_row child || cell child "${dead%%,*}"
    cell passed "$dead"
    cell unread "$refused"
    cell opath ENXIO
    [ "$client_row" = importer ] || cell importer 'told, map ENODEV'
}

# rounds_of: how far the bystander is; it must not have had an error.
rounds_of() {
    tell bystander report
    case $heard in *" errors 0 ") ;; *) broken bystander "$heard" ;; esac
    rounds=${heard#rounds }
    rounds=${rounds%% *}
}

bystander_past() {
    rounds_of
    [ "$rounds" -gt "$1" ]
}

# Two rounds from now: one may have begun before the end.
bystander_goes_on() {
    rounds_of
    bystander_from=$rounds
    wait_until 60 "the bystander to write and verify on" bystander_past $((bystander_from + 1)) || broken bystander "no progress after round $bystander_from"
    pass "$column: the bystander wrote and verified on, $rounds rounds, no error"
}

# intact: process `reader`, of a new buffer over the same bytes, finds what was written.
intact() {
    must reader "check $seed" intact
    pass "$column: the bytes are intact"
}

# ---- The table

begin_column() {
    column=$1
    columns="$columns$column|"
    seed=$((${seed:-0} + 1))
    column_began=$(cut -d. -f1 /proc/uptime)
}

# Ends the processes of the column, which ignore SIGTERM.
end_column() {
    for way_in in "$m"/*.in; do
        [ ! -e "$way_in" ] || echo quit 1<>"$way_in"
    done
    wait_until 60 "the column's processes to end" no_processes || broken "one of the processes" "no end: $(pgrep -l 'matrix|leaseprobe|vfioowner|barctl' | xargs)"
    rm -f "$m"/*.sock "$m"/*.in "$m"/*.out
    echo "# $column: $(($(cut -d. -f1 /proc/uptime) - column_began)) s"
}
no_processes() { ! pgrep -x 'matrixhold|matriximport|leaseprobe|vfioowner|barctl'; }

print_matrix() {
    echo "#"
    awk -F'|' -v columns="$columns" -v rows="$rows" '
        function padded(text, width) {
            while (length(text) < width) text = text " "
            return text
        }
        { cell[$1, $2] = $3; if (length($3) > widest[$2]) widest[$2] = length($3) }
        END {
            count = split(columns, column, "|") - 1
            line = padded("", 9)
            for (i = 1; i <= count; i++) {
                width[i] = length(column[i]) > widest[column[i]] ? length(column[i]) : widest[column[i]]
                line = line "  " padded(column[i], width[i])
            }
            print "# " line
            n = split(rows, row, " ")
            for (r = 1; r <= n; r++) {
                line = padded(row[r], 9)
                for (i = 1; i <= count; i++)
                    line = line "  " padded(((row[r], column[i]) in cell) ? cell[row[r], column[i]] : "-", width[i])
                print "# " line
            }
        }' $m/cells
    echo "#"
}

# ---- Columns of the driver alone: no broker

owner() {
    start "$1" vfioowner $m "$1" "$2"
    [ "$1" != owner ] || owner_shell=$started
    ready "$1"
}

# own NAME NUMBER USER WAY [OWNER]: a process with a buffer of the owner.
own() {
    name "$1"
    must "${5:-owner}" "start $2 exec su -p -s /bin/sh -c 'exec \"\$0\" \"\$@\"' -- $3 $program $m $1 $4 >$m/$1.log 2>&1" 0
    ready "$1"
}

# Two buffers over the same bytes: the client's, and the second one's.
driver_column() {
    begin_column "$1"
    start_receivers
    owner owner "$(address_of "$device")"
    must owner "export 0 2 $ranges" 0
    must owner "export 1 2 $ranges" 0
    own "$client_row" 0 alice client
    own second 1 bob client
    split_child "$client_row"
    give_to_receivers
    all_live "$client_row" second
}

# A bystander on the other device, which is open by itself.
bystander_elsewhere() {
    owner owner1 "$(address_of "$other")"
    must owner1 "export 0 2 $beside" 0
    own bystander 0 bob bystander owner1
    rounds_of
}

# The owner ends; the next one finds the bytes.
next_owner_is_intact() {
    order owner quit
    wait "$owner_shell"
    owner owner "$(address_of "$device")"
    must owner "export 0 2 $ranges" 0
    own reader 0 bob client
    intact
}

# ---- Columns of the daemon

# start_broker DEVICE...
start_broker() {
    {
        echo '{ "metrics": { "enabled": false }, "devices": ['
        for broker_device; do echo "{ \"name\": \"$broker_device\", \"kind\": \"vfio\", \"address\": \"$(address_of "$broker_device")\" },"; done
        echo '] }'
    } >$m/broker.json
    barbrokerd --config $m/broker.json >>$m/broker.log 2>&1 &
    broker=$!
    wait_until 60 "the broker's devices" devices_ready $#
}
devices_ready() { barctl -o jsonl device list | grep -c '"state":"ready"' | grep -qx "$1"; }

# run_as USER NAME WAY OPTIONS...: a process that is the command of barctl run.
run_as() {
    run_user=$1
    run_name=$2
    run_way=$3
    shift 3
    start "$run_name" as "$run_user" barctl run --on-lost ignore "$@" -- "$program" $m "$run_name" "$run_way"
}

# run_released USER NAME: the same, of a lease that is released as told by `over`, while the process lives on with all it has.
run_released() {
    rm -f "$m/front"
    mkfifo -m 666 $m/front
    # shellcheck disable=SC2086 # words
    start "$2" as "$1" barctl run -d "$device" $request -- sh -c "$program $m $2 client & read -r line <>$m/front"
    front_shell=$started
    ready "$2"
}

over() {
    echo over 1<>$m/front
    wait "$front_shell" || broken "$1" "barctl end with $?"
}

# The dmabuf of an earlier lease over the same bytes, which was released. It is dead from then on.
second_seed=77
start_second() {
    run_released bob second
    must second "fill $second_seed" 'done'
    over second
    second_is_dead
}
second_is_dead() {
    tell second "try $second_seed"
    echo "$heard" | grep -Eqx "$dead" || broken second "'$heard', wanted $dead"
}

# A client that uses the library, in place of a command of barctl. It cannot fork, so that a process that it passed the descriptor to has the child.
start_library_client() {
    start parent as alice "$program" $m parent passed
    ready parent
    name "$client_row"
    # shellcheck disable=SC2086 # words
    as alice leaseprobe hold "$device" 2 3 $ranges <>"$m/$client_row.in" 1<>"$m/$client_row.out" 2>"$m/$client_row.log" &
    library_shell=$!
    ready "$client_row"
    hand_on "$client_row" parent
    split_child parent
}

# broker_column NAME run|released|library BYSTANDER-DEVICE [TTL]: all is in place for the end of $lease, whose owner is $owner_process.
broker_column() {
    begin_column "$1"
    start_second
    start_receivers
    BARBROKER_RUNTIME_DIR=$bystander_broker run_as bob bystander bystander -d "$3" --bar 2 --range "$beside"
    ready bystander
    # shellcheck disable=SC2086 # words
    case $2 in
        library) start_library_client ;;
        released) run_released alice "$client_row" ;;
        run) run_as alice "$client_row" client -d "$device" $request --ttl "${4:-30s}" && ready "$client_row" ;;
    esac
    client_process=$process
    [ "$2" = library ] || split_child "$client_row"
    give_to_receivers
    all_live "$client_row"
    second_is_dead
    find_lease
    rounds_of
}
bystander_broker=/run/barbroker

find_lease() {
    barctl -o jsonl lease list --device "$device" | grep "\"size\":$buffer_size," >$m/lease
    lease=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' $m/lease)
    owner_process=$(sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' $m/lease)
    [ -n "$lease" ] || broken "$client_row" "no lease of its own"
}

ended_by() { wait_until 60 "the lease to end by $1" lease_says "$1" || broken "the broker" "$(barctl lease show "$lease")"; }
lease_says() { barctl -o jsonl lease show "$lease" | grep -q "\"state\":\"ended\",\"end_reason\":\"$1\""; }

# The cells after the end; then a new lease has the bytes, and the second buffer stays dead.
broker_cells() {
    if [ "${1:-}" = library ]; then
        library_cell
    else
        cell "$client_row" "$dead"
    fi
    other_cells
    cell second "$dead" 'since its own lease ended' $second_seed
    bystander_goes_on
}

new_lease_is_intact() {
    # shellcheck disable=SC2086 # words
    run_as bob reader client -d "$device" $request
    ready reader
    intact
    second_is_dead
}

# The library throws where it can, and a load of the client's own is SIGBUS, which ends it.
library_cell() {
    tell "$client_row" "try $seed"
    case $heard in "lost "*) ;; *) broken "$client_row" "'$heard', wanted that the library throws" ;; esac
    order "$client_row" touch
    library_status=0
    wait $library_shell || library_status=$?
    [ $library_status = 135 ] || broken "$client_row" "no SIGBUS: status $library_status"
    record "$client_row" "SIGBUS of the client; its copies: $heard"
    rm -f "$m/$client_row".*
}

# ---- The ends of a command of barctl run: the same for both kinds of devices. Each is given the device that the bystander is on.

column_sigstop() {
    broker_column SIGSTOP run "$1" 3s
    kill -STOP "$owner_process" "$client_process"
    ended_by expired
    kill -CONT "$owner_process" "$client_process"
    end_broker_column
}

column_sigkill() {
    broker_column SIGKILL run "$1"
    kill -9 "$owner_process"
    ended_by client_exited
    end_broker_column
}

column_operator() {
    broker_column operator run "$1"
    check "$column: an operator revokes" as olga barctl lease revoke "$lease"
    ended_by operator
    end_broker_column
}

column_device_reset() {
    broker_column 'device reset' run "$1"
    check "$column: an operator resets" as olga barctl device reset --yes "$device"
    ended_by device_reset
    end_broker_column both_ready
}

# column_unbind BYSTANDER-DEVICE DRIVER
column_unbind() {
    broker_column unbind run "$1"
    check "$column: the broker lets go of the device in time" timeout 30 sh -c "echo $(address_of "$device") >/sys/bus/pci/drivers/$2/unbind"
    ended_by device_lost
    end_broker_column bind_again
}
both_ready() { wait_until 60 "$device to be ready" devices_ready 2; }
bind_again() {
    address_of "$device" >/sys/bus/pci/drivers_probe
    both_ready
}

# end_broker_column [BEFORE]: what is to be done before the bytes can be leased anew.
end_broker_column() {
    broker_cells
    "${1:-true}"
    new_lease_is_intact
    end_column
}
