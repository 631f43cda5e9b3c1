# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What a guest script has: checks that print TAP lines, the lab's devices by name, other users, requests to the host.
# A script begins with `. lab.sh` and ends with `done_testing`.

lab_passed=0
lab_failed=0
lab_skipped=0
lab_number=0

lab_result() { # lab_result ok|"not ok" NAME [DIRECTIVE]
    lab_number=$((lab_number + 1))
    echo "$1 $lab_number - $2${3:+ # $3}"
}

pass() {
    lab_passed=$((lab_passed + 1))
    lab_result ok "$1"
}

# fail NAME TEXT [FILE]: a failed check, with a text and a file to show below it.
fail() {
    lab_failed=$((lab_failed + 1))
    lab_result 'not ok' "$1"
    { echo "$2" && if [ $# = 3 ]; then cat "$3"; fi; } | sed 's/^/    # /'
}

skip() { # skip NAME REASON
    lab_skipped=$((lab_skipped + 1))
    lab_result ok "$1" "SKIP $2"
}

# needs PROGRAM...: without one of them the script ends here, failed.
needs() {
    for lab_name; do
        if ! command -v "$lab_name" >/dev/null; then
            fail "$lab_name is there" "not in PATH ($PATH); a directory given with --payload is /lab"
            done_testing
        fi
    done
}

# check NAME COMMAND...: passes when the command succeeds. Its output is kept in /tmp/check.out.
check() {
    lab_name=$1
    shift
    if "$@" >/tmp/check.out 2>&1 </dev/null; then
        pass "$lab_name"
    else
        lab_status=$?
        fail "$lab_name" "status $lab_status of: $*" /tmp/check.out
        return 1
    fi
}

# check_fails NAME COMMAND...: passes when the command ends with a status from 1 to 125; a signal or a missing command is a failure.
check_fails() {
    lab_name=$1
    shift
    check_status "$lab_name" '[1-9]|[1-9][0-9]|1[01][0-9]|12[0-5]' "$@"
}

# check_signal NAME SIGNAL-NUMBER COMMAND...: passes when the command is killed by this signal.
check_signal() {
    lab_name=$1
    lab_signal=$2
    shift 2
    check_status "$lab_name" $((128 + lab_signal)) "$@"
}

check_status() { # check_status NAME EXTENDED-REGEX COMMAND...
    lab_name=$1
    lab_wanted=$2
    shift 2
    lab_status=0
    "$@" >/tmp/check.out 2>&1 </dev/null || lab_status=$?
    if echo "$lab_status" | grep -Eqx "$lab_wanted"; then
        pass "$lab_name"
    else
        fail "$lab_name" "status $lab_status, wanted $lab_wanted, of: $*" /tmp/check.out
        return 1
    fi
}

# expect_equal NAME WANTED GOT
expect_equal() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "wanted '$2', got '$3'"
        return 1
    fi
}

# expect_grep NAME EXTENDED-REGEX [FILE]: without a file, looks at the output of the last check.
expect_grep() {
    if grep -Eq -- "$2" "${3:-/tmp/check.out}"; then
        pass "$1"
    else
        fail "$1" "no line matches $2 in ${3:-the output}:" "${3:-/tmp/check.out}"
        return 1
    fi
}

# wait_until SECONDS WHAT COMMAND...: polls; says what it waited for when the time is over.
wait_until() {
    lab_deadline=$(($(cut -d. -f1 /proc/uptime) + $1))
    lab_what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$(cut -d. -f1 /proc/uptime)" -ge "$lab_deadline" ]; then
            echo "waited in vain for $lab_what: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

# Ends the script with a status that says whether every check passed. A script of which no check passed has failed.
done_testing() {
    echo "1..$lab_number"
    echo "# $lab_passed passed, $lab_failed failed, $lab_skipped skipped"
    [ "$lab_failed" = 0 ] && [ "$lab_passed" -gt 0 ]
    exit $?
}

# as USER COMMAND...: runs a command as alice or bob (may lease), olga (operator) or mallory (neither).
as() {
    lab_user=$1
    shift
    # shellcheck disable=SC2016 # for the other user's shell to expand
    busybox su -p -s /bin/sh -c 'exec "$0" "$@"' -- "$lab_user" "$@"
}

lab_field() { awk -v name="$1" -v field="$2" '$1 == name { print $field; found = 1 } END { exit !found }' /run/lab/devices; }

# The PCI address, IOMMU group and driver (as bound at boot) of a device of the table, by its name.
address_of() { lab_field "$1" 2; }
group_of() { lab_field "$1" 5; }
driver_of() { lab_field "$1" 7; }

# Whether this kernel has a character device for each vfio device, and iommufd, which the broker prefers to groups.
has_cdev() { [ -c /dev/iommu ] && [ -d /dev/vfio/devices ]; }
# node_of NAME: the node by which the broker opens a device of the table.
node_of() {
    if has_cdev; then
        lab_at=/sys/bus/pci/devices/$(address_of "$1")/vfio-dev
        echo "/dev/vfio/devices/$(ls "$lab_at")"
    else
        echo "/dev/vfio/$(group_of "$1")"
    fi
}
# opens_by_node PROCESS NAME: the process has opened the device by that node, and by no other way. After a restart under systemd, /dev is not in the names of files: they were opened in a mount namespace that is gone.
opens_by_node() {
    # shellcheck disable=SC2012 # where links lead to, which find of busybox does not tell
    ls -l "/proc/$1/fd" | sed -n 's|.* -> \(/dev\)\{0,1\}\(/vfio/.*\)|\2|p; s|.* -> \(/dev\)\{0,1\}\(/iommu\)$|\2|p; s|.* -> \(anon_inode:.vfio-device.\)$|\1|p' >/tmp/opened
    lab_node=$(node_of "$2")
    lab_other='^/(iommu|vfio/devices/.*)$'
    if has_cdev; then
        lab_other='^(anon_inode:.*|/vfio/(vfio|[0-9]+))$'
        grep -qx /iommu /tmp/opened || { cat /tmp/opened && return 1; }
    fi
    if ! grep -qxF "${lab_node#/dev}" /tmp/opened || grep -Eq "$lab_other" /tmp/opened; then cat /tmp/opened && return 1; fi
}

# host REQUEST ARGUMENT...: asks the lab outside, prints its answer; fails when the host could not do it.
#   host unplug NAME   asks the kernel through ACPI to let go of a device; it goes when its user has let go, which may take its time
#   host plug NAME     puts it back; see plug
#   host fault NAME    the device's root port reports an uncorrectable error, which the kernel passes on to the device's driver
host() {
    # One request at a time, since they may come from several processes.
    until mkdir /run/lab/host.lock 2>/dev/null; do sleep 0.05; done
    lab_answer=$(exec 3<>/dev/ttyS2 && echo "$*" >&3 && IFS= read -r line <&3 && echo "$line")
    rmdir /run/lab/host.lock
    echo "${lab_answer#* }"
    case $lab_answer in ok*) return 0 ;; *) return 1 ;; esac
}

# plug NAME: puts an unplugged device back and binds it as at boot. It may come with another group number.
plug() {
    host plug "$1" && wait_until 30 "$1 to appear" lab_bind "$1"
}

lab_bind() { sh /host/guest/bind-devices "$1" && address_of "$1"; }

# is_present ADDRESS
is_present() { [ -e "/sys/bus/pci/devices/$1" ]; }
is_absent() { ! is_present "$1"; }
