# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The root file system with systemd (root.sh) without a virtual machine: its systemd is process 1 of namespaces of its own, on this machine's kernel and at its speed. There is no device and no module of
# ours, so the daemon has simulated devices.

container_namespaces=(--mount --pid --fork --kill-child=KILL --cgroup --uts --ipc --net)

# Ends with status 3 and one line that says what is missing where there can be no such container.
container_check() {
    mkdir "$work/cgroups"
    ((EUID == 0)) || container_impossible "run it as root"
    container_try unshare "${container_namespaces[@]}" true
    # shellcheck disable=SC2016 # for the inner shell to expand
    container_try unshare --mount sh -ec 'mount --make-rprivate / && mount -t cgroup2 cgroup2 "$1" && mkdir "$1/$2" && rmdir "$1/$2"' - "$work/cgroups" "barbroker-lab-$$"
}

container_try() { "$@" >"$work/try.log" 2>&1 || container_impossible "this machine does not let root have them, which another container around it may be the reason for: $(tail -n 1 "$work/try.log")"; }

container_impossible() {
    say "with --container, systemd runs in namespaces and with cgroups of its own: $*"
    exit 3
}

# container_root DISK: what is on the disk, in $work/root. Read from the image, since not every machine has a loop device to mount it with.
container_root() {
    rm -rf "$work/root"
    mkdir "$work/root"
    debugfs -R "rdump / $work/root" "$1" >/dev/null 2>"$work/debugfs.log"
    [[ -x $work/root/usr/lib/systemd/systemd ]] || { cat "$work/debugfs.log" >&2; die "cannot read the root file system $1"; }
}

# container_run RUN-DIRECTORY SECONDS: as run_guest. Sets $guest_status and $qemu_status.
container_run() {
    local run=$1 limit=$2 hold output
    container_root "$root_disk"
    : >"$run/console"
    : >"$run/ttyS2"
    mkfifo "$run/ttyS1"
    exec {hold}<>"$run/ttyS1"
    tee "$run/output.log" <"$run/ttyS1" {hold}>&- &
    output=$!
    timeout --foreground --kill-after=20 "$limit" \
        unshare --mount bash "$lab_home/lib/container-enter" "$work/cgroups" "barbroker-lab-$$" "${container_namespaces[@]}" \
        sh "$lab_home/guest/container-init" "$work/root" "$run" "$payload" "$out" </dev/null 2>"$run/qemu.log" {hold}>&- &
    qemu_pid=$!
    qemu_status=0
    wait "$qemu_pid" || qemu_status=$?
    qemu_pid=
    exec {hold}>&-
    wait "$output"
    guest_status=$(sed -n 's/^exit //p' "$run/ttyS2")
    cp "$run/console" "$run/console.log"
}
