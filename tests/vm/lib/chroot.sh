# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A root directory with a compiler in it, made of Debian packages: the build tools that belong to a kernel need a newer libc than this machine
# may have. The packages are unpacked and never configured, so that any user can make one and delete it, and no program of theirs runs for it. dpkg's database
# says that they are installed, so that packages of ours can be, on top of them.

# What kbuild calls, beside the compiler.
chroot_tools=(base-files bash binutils coreutils dash diffutils findutils grep make mawk sed)

# chroot_store SUITES PACKAGE...: fills $new with the packages, the tools, and all that these depend on.
chroot_store() {
    chroot_unpack "$new" "$1" "${chroot_tools[@]}" "${@:2}"
    mkdir -p "$new"/{source,result}
}

# chroot_unpack ROOT SUITES PACKAGE...: with all that these depend on, into a directory.
chroot_unpack() {
    local root=$1 suites=$2 deb
    shift 2
    # shellcheck disable=SC2086 # several
    apt_configure $suites
    apt-get -c "$work/apt.conf" -qq update >&2
    apt-get -c "$work/apt.conf" -qq --yes --no-install-recommends --download-only install "$@" >&2 ||
        die "cannot have the packages $* of $suites; a release that the mirror has dropped is replaced by: lab build --refresh"
    # First the package that makes /bin and its like links into /usr.
    dpkg-deb --extract "$work"/cache/archives/base-files_*.deb "$root"
    mkdir -p "$root"/var/lib/dpkg/{info,triggers,updates}
    echo 1 >"$root/var/lib/dpkg/info/format"
    for deb in "$work"/cache/archives/*.deb; do chroot_unpack_deb "$root" "$deb"; done
    ln -s mawk "$root/usr/bin/awk"
    mkdir -p "$root/tmp"
    rm -rf "$work/cache" "$root"/usr/share/{doc,man,locale,info}
}

# chroot_unpack_deb ROOT FILE: and notes it in dpkg's database: its fields, and the list of its files.
chroot_unpack_deb() {
    local root=$1 deb=$2 name
    name=$(dpkg-deb --field "$deb" Package)
    [[ $(dpkg-deb --field "$deb" Multi-Arch) != same ]] || name+=:$(dpkg-deb --field "$deb" Architecture)
    dpkg-deb --vextract "$deb" "$root" | sed 's|^\.||; s|/$||; s|^$|/.|' >"$root/var/lib/dpkg/info/$name.list"
    { dpkg-deb --field "$deb" | sed '1a Status: install ok installed' && echo; } >>"$root/var/lib/dpkg/status"
}

# Sets $chroot_unshare to the command that gives mounts of our own.
chroot_choose_unshare() {
    chroot_unshare=(unshare --mount)
    ((EUID == 0)) || chroot_unshare=(unshare --map-root-user --mount)
    "${chroot_unshare[@]}" true 2>"$work/unshare.log" && return
    cat "$work/unshare.log" >&2
    if ((EUID == 0)); then
        die "modules are built in a mount namespace, which root may not make here: the container lacks CAP_SYS_ADMIN"
    fi
    die "modules are built in a user namespace, which this kernel does not give to $(id -un): allow it (sysctl kernel.unprivileged_userns_clone=1" \
        "or kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0), or run the lab as root"
}

# chroot_run ROOT SOURCE RESULT COMMAND...: with two directories of this machine as /source and /result.
chroot_run() {
    local chroot_unshare
    chroot_choose_unshare
    # objtool looks at itself through /proc.
    # shellcheck disable=SC2016 # for the inner shell to expand
    "${chroot_unshare[@]}" sh -ec '
        root=$1 source=$2 result=$3
        shift 3
        mount --rbind /proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$source" "$root/source"
        mount --bind "$result" "$root/result"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/usr/sbin HOME=/tmp LC_ALL=C.UTF-8 "$@"' - "$@"
}
