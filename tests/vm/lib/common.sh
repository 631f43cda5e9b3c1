# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Messages, the cache and its lock.

lab_cache=${BARBROKER_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/barbroker-lab}

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 2
}

# locked NAME COMMAND...: one process at a time builds a thing; a second one waits, then finds it in the cache.
locked() {
    local name=$1 lock
    shift
    mkdir -p "$lab_cache"
    exec {lock}>"$lab_cache/$name.lock"
    if ! flock --nonblock "$lock"; then
        say "waiting for another lab that builds $name"
        flock "$lock"
    fi
    "$@"
    exec {lock}>&-
}

# hash_of FILES...: one short name for the contents, names and modes of files.
hash_of() { { stat --printf '%n %a\n' "$@"; cat "$@"; } | sha256sum | cut -c1-12; }

# Sets $work to a scratch directory that is gone at the end, and with it the guest, however the end comes.
make_work_directory() {
    qemu_pid=
    work=$(mktemp -d "${TMPDIR:-/tmp}/barbroker-lab.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

clean_up() {
    if [[ -n $qemu_pid ]]; then kill "$qemu_pid" 2>/dev/null || true; fi
    rm -rf "$work"
}
