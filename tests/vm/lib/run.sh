# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One life of the guest: boots it with a command, answers its requests, and tells how it ended.

# Lines of the kernel's log that fail a run whatever the script says.
run_bad_kernel_lines='WARNING: |BUG[: ]|Oops|general protection|Kernel panic|INFO: task .* blocked|INFO: trying to register|rcu: INFO:|unable to handle'

# A program of each C file, and of all those of each directory.
native_store() {
    local source
    for source in "$lab_home"/native/*.c; do native_compile "$(basename "$source" .c)" "$source"; done
    for source in "$lab_home"/native/*/; do native_compile "$(basename "$source")" "$source"*.c; done
}

# Static, so that they run in any guest.
native_compile() { # native_compile NAME SOURCES...
    local name=$1
    shift
    gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -static -pthread -o "$new/$name" "$@"
}

native_build() { [[ -d $lab_cache/$1 ]] || cache_add native "$1" native_store; }

# Sets $native to a directory with the compiled programs of tests/vm/native.
native_ensure() {
    local name headers
    # The programs include the modules' headers.
    mapfile -t headers < <(find "${modules_directories[@]}" -maxdepth 1 -name '*.h' 2>/dev/null | LC_ALL=C sort)
    name=native-$(hash_of "$lab_home"/native/*.[ch] "$lab_home"/native/*/*.[ch] "${headers[@]}" "$lab_home/lib/run.sh")
    [[ -d $lab_cache/$name ]] || locked native native_build "$name"
    native=$lab_cache/$name
    touch "$native"
}

# What the guest sees as /host: the table, the library, the C programs, the modules; the command to run comes later.
run_prepare() {
    local run=$1
    rm -rf "$run"
    mkdir -p "$run/host"
    mkfifo "$run"/{control,qmp}.{in,out}
    cp -r "$lab_home/guest" "$lab_home/devices" "$run/host/"
    cp -r "$native" "$run/host/bin"
    cp -r "$modules" "$run/host/modules"
    chmod -R a+rX "$run/host"
}

quoted() { printf "'%s' " "${@//\'/\'\\\'\'}"; }

# run_qmp COMMAND-JSON: sends one command to QEMU, prints its answer.
run_qmp() {
    local line
    printf '%s\n' "$1" >&"$qmp_to"
    while IFS= read -r -t 30 line <&"$qmp_from"; do
        [[ $line == *'"QMP"'* || $line == *'"event"'* ]] && continue
        printf '%s\n' "$line"
        [[ $line != *'"error"'* ]]
        return
    done
    echo "no answer from QEMU"
    return 1
}

# run_request WORD ARGUMENT...: what a guest script may ask for; prints "ok ..." or "error ...".
run_request() {
    local name=${2:-}
    if [[ -z ${qemu_devices[${name:-none}]:-} ]]; then
        echo "error no device is called '$name'"
        return
    fi
    case $1 in
        unplug) run_answer "asked to unplug $name" run_qmp "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"$name\"}}" ;;
        plug)
            run_plugs=$((run_plugs + 1))
            run_answer "plugged $name in" run_plug "$name" ;;
        fault) run_answer "made the port of $name report an error" run_fault "${qemu_ports[$name]}" ;;
        *) echo "error the host knows no request '$1'" ;;
    esac
}

run_answer() { # run_answer TEXT COMMAND...
    local text=$1 answer
    shift
    if answer=$("$@"); then echo "ok $text"; else echo "error not $text: $answer"; fi
}

# run_plug NAME: with new memory where the device is made of it, since QEMU 7.2 dies of an ivshmem whose memory had another before.
run_plug() {
    local name=$1 device=${qemu_devices[$1]} memory answer try
    if [[ -n ${qemu_memory[$name]:-} ]]; then
        memory=memory-$name-$run_plugs
        device=${device/memory-$name/$memory}
        run_monitor "object_add memory-backend-memfd,id=$memory,size=${qemu_memory[$name]},share=on" || return
    fi
    # The guest sees a device go a little before QEMU has forgotten its name.
    for try in {1..50}; do
        answer=$(run_monitor "device_add $device") && return
        [[ $answer == *Duplicate* ]] || break
        sleep 0.1
    done
    echo "$answer"
    return 1
}

# run_fault PORT: a transaction that was not completed, which is uncorrectable but not fatal.
run_fault() {
    local answer
    answer=$(run_monitor "pcie_aer_inject_error $1 COMP_TIME") || true
    [[ $answer == *'"OK '* ]] || { echo "$answer"; return 1; }
}

# run_monitor COMMAND: for what only the human monitor takes. Succeeds when that says nothing, else prints what it says.
run_monitor() {
    local answer
    answer=$(run_qmp "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"$1\"}}")
    [[ $answer == *'"return": ""'* ]] || { echo "$answer"; return 1; }
}

# Reads the guest's requests until it says how the script ended, or is gone. Sets $guest_status.
run_serve() {
    local line part='' begun='' words alive
    guest_status=
    run_plugs=0
    # A QEMU that does not answer here has ended; the loop sees that.
    run_qmp '{"execute":"qmp_capabilities"}' >/dev/null || true
    while true; do
        # Before the look for a line: one that ended since may have left something.
        alive=1
        kill -0 "$qemu_pid" 2>/dev/null || alive=
        if IFS= read -r -t 1 part <&"$control_from"; then
            line=$begun$part
            begun=''
            read -ra words <<<"$line"
            [[ ${words[0]:-} != exit ]] || break
            run_request "${words[@]:-nothing}" >&"$control_to"
        else
            # The second was over in the middle of a line.
            begun+=$part
            [[ -n $alive ]] || return 0
        fi
    done
    guest_status=${words[1]:-}
}

# run_guest RUN-DIRECTORY TIMEOUT: QEMU's standard input and output are the script's. Sets $guest_status and $qemu_status.
run_guest() {
    local run=$1 limit=$2
    # Opened for both directions, an open of a FIFO does not wait for the other side.
    local control_from control_to qmp_from qmp_to
    exec {control_from}<>"$run/control.out" {control_to}<>"$run/control.in" {qmp_from}<>"$run/qmp.out" {qmp_to}<>"$run/qmp.in"
    timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 "${qemu_args[@]}" <&0 2>"$run/qemu.log" &
    qemu_pid=$!
    run_serve
    qemu_status=0
    wait "$qemu_pid" 2>/dev/null || qemu_status=$?
    qemu_pid=
    exec {control_from}>&- {control_to}>&- {qmp_from}>&- {qmp_to}>&-
}

# Prints what went wrong apart from the script; succeeds when the guest's end was orderly.
run_verdict() {
    local run=$1 limit=$2 orderly=0
    sed 's/^/lab: qemu: /' "$run/qemu.log" >&2
    if ((qemu_status == 124 || qemu_status == 137)); then
        say "the guest was not done after $limit s and was killed"
        orderly=1
    elif [[ ! $guest_status =~ ^[0-9]+$ ]]; then
        say "the guest ended (QEMU status $qemu_status) before the script did"
        orderly=1
    fi
    if grep -aEn "$run_bad_kernel_lines" "$run/console.log" >"$run/bad"; then
        say "the kernel complained: $(sed -n 1p "$run/bad")"
        orderly=1
    fi
    if ((orderly)); then
        say "the end of the kernel's log:"
        tail -n 60 "$run/console.log" >&2
    fi
    return "$orderly"
}
