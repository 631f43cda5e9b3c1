# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Messages, the scratch directory, the cache.

lab_cache=${BARBROKER_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/barbroker-lab}

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 2
}

# Sets $work to a scratch directory that is gone at the end, and with it the guest, however the end comes.
make_work_directory() {
    qemu_pid=
    work=$(mktemp -d "${TMPDIR:-/tmp}/barbroker-lab.XXXXXX")
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

clean_up() {
    if [[ -n $qemu_pid ]]; then
        kill "$qemu_pid" 2>/dev/null || true
        wait "$qemu_pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}

# locked KIND COMMAND...: one process at a time builds a kind of thing; a second one waits, then finds it in the cache.
locked() {
    local kind=$1 lock
    shift
    mkdir -p "$lab_cache"
    exec {lock}>"$lab_cache/$kind.lock"
    if ! flock --nonblock "$lock"; then
        say "waiting for another lab, which is looking after the $kind"
        flock "$lock"
    fi
    "$@"
    exec {lock}>&-
}

# cache_add KIND NAME COMMAND...: the command fills the directory $new, which is then renamed, so that nobody ever sees half of it.
# To be called with the kind's lock held: what other builders left behind is theirs no more.
cache_add() {
    local kind=$1 name=$2 new
    shift 2
    rm -rf "$lab_cache/.new-$kind".*
    new=$(mktemp -d "$lab_cache/.new-$kind.XXXXXX")
    "$@"
    chmod 755 "$new"
    mv --no-target-directory "$new" "$lab_cache/$name"
    # Of what can be built again, that which no run has used for a while.
    find "$lab_cache" -maxdepth 1 \( -name 'image-*' -o -name 'native-*' -o -name 'modules-*' -o -name 'chroot-*' -o -name 'root-*' \) ! -name "$name" -mtime +14 -exec rm -rf {} +
}

# hash_of FILES...: one short name for names, modes and contents of files, wherever the checkout is.
hash_of() {
    local file
    for file; do
        stat --dereference --printf "${file##*/} %a %s\n" "$file"
        cat "$file"
    done | sha256sum | cut -c1-12
}
