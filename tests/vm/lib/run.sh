# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One life of the guest: boots it with a command, answers its requests, and tells how it ended.

# Lines of the kernel's log that fail a run whatever the script says.
run_bad_kernel_lines='WARNING: |BUG: |Oops|general protection|Kernel panic|INFO: task .* blocked|rcu: INFO:|unable to handle'

# Compiles tests/vm/native/*.c once per content. Static, so that they run in any guest.
run_native_programs() {
    local sources name directory new source
    sources=("$lab_home"/native/*.c)
    name=native-$(hash_of "${sources[@]}" "$lab_home/lib/run.sh")
    directory=$lab_cache/$name
    if [[ ! -d $directory ]]; then
        new=$(mktemp -d "$lab_cache/new.XXXXXX")
        for source in "${sources[@]}"; do
            gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -static -pthread -o "$new/$(basename "$source" .c)" "$source"
        done
        chmod 755 "$new"
        # Another lab may have been quicker; both built the same.
        mv --no-target-directory "$new" "$directory" 2>/dev/null || rm -rf "$new"
    fi
    native=$directory
}

# What the guest sees as /host: the table, the library, the C programs, and the command to run.
run_prepare() {
    local run=$1
    mkdir -p "$run/host"
    mkfifo "$run"/{control,qmp}.{in,out}
    run_native_programs
    cp -r "$lab_home/guest" "$lab_home/devices" "$run/host/"
    cp -r "$native" "$run/host/bin"
    chmod -R a+rX "$run/host"
}

quoted() { printf "'%s' " "${@//\'/\'\\\'\'}"; }

# run_qmp COMMAND-JSON: sends one command to QEMU, prints its answer.
run_qmp() {
    local line
    printf '%s\n' "$1" >&"$qmp_to"
    while IFS= read -r -t 5 line <&"$qmp_from"; do
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
    local answer
    case $1 in
        unplug)
            if [[ ${2:-} =~ ^[a-z0-9]+$ ]] && answer=$(run_qmp "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"$2\"}}"); then
                echo "ok asked to unplug $2"
            else
                echo "error cannot unplug ${2:-nothing}: ${answer:-no such name}"
            fi ;;
        *) echo "error the host knows no request $1" ;;
    esac
}

# Reads the guest's requests until it says how the script ended, or is gone. Sets $guest_status.
run_serve() {
    local line words
    guest_status=
    # A QEMU that does not answer here has ended; the loop sees that.
    run_qmp '{"execute":"qmp_capabilities"}' >/dev/null || true
    while true; do
        if IFS= read -r -t 1 line <&"$control_from"; then
            read -ra words <<<"$line"
            [[ ${words[0]:-} != exit ]] || break
            run_request "${words[@]:-nothing}" >&"$control_to"
        elif ! kill -0 "$qemu_pid" 2>/dev/null; then
            return
        fi
    done
    guest_status=${words[1]:-}
}

# run_guest RUN-DIRECTORY TIMEOUT: QEMU's standard input and output are the script's.
run_guest() {
    local run=$1 limit=$2
    # Opened for both directions, an open of a FIFO does not wait for the other side.
    exec {control_from}<>"$run/control.out" {control_to}<>"$run/control.in" {qmp_from}<>"$run/qmp.out" {qmp_to}<>"$run/qmp.in"
    timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 "${qemu_args[@]}" <&0 2>"$run/qemu.log" &
    qemu_pid=$!
    run_serve
    qemu_status=0
    wait "$qemu_pid" || qemu_status=$?
    qemu_pid=
}

# Prints what went wrong apart from the script; succeeds when the guest's end was orderly.
run_verdict() {
    local run=$1 limit=$2 orderly=0
    sed 's/^/lab: qemu: /' "$run/qemu.log" >&2
    if ((qemu_status == 124 || qemu_status == 137)); then
        say "the guest was not done after $limit s and was killed"
        orderly=1
    elif [[ ! $guest_status =~ ^[0-9]+$ ]]; then
        say "the guest ended (QEMU status $qemu_status) without a status of the script"
        orderly=1
    fi
    if grep -aEn "$run_bad_kernel_lines" "$run/console.log" >"$run/bad"; then
        say "the kernel complained: $(sed -n 1p "$run/bad")"
        orderly=1
    fi
    if ((orderly)); then
        say "the end of the kernel's log:"
        tail -n "${BARBROKER_LAB_LOG_LINES:-60}" "$run/console.log" >&2 || true
    fi
    return "$orderly"
}
