# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The other guest's root file system: Debian packages with systemd on a disk; in the cache as root-<recipe>-<release>/disk. The initramfs of image.sh
# loads modules and binds devices as ever, then hands over to it. Made like the chroot: the packages are unpacked and never configured, so that any user
# can make one; what their scripts would have done, as far as the lab needs it, is done here.

root_packages=(base-files base-passwd bash coreutils dash diffutils dpkg e2fsprogs findutils grep gzip init-system-helpers iproute2 kmod libbpf1 libc-bin libssl3t64 libstdc++6 mawk mount
    passwd perl-base procps psmisc sed strace systemd tar udev util-linux zlib1g)

# Done otherwise here, without meaning in a virtual machine, or slow under emulation.
root_masked=(
    systemd-{hwdb-update,journal-catalog-update,update-done,machine-id-commit,random-seed,network-generator,vconsole-setup,update-utmp,firstboot}.service
    systemd-{modules-load,remount-fs,binfmt,boot-random-seed,udev-load-credentials,user-sessions,sysusers,journal-flush,tmpfiles-setup-dev-early}.service
    systemd-{creds,hostnamed,initctl,sysext}.socket systemd-tmpfiles-clean.timer {ldconfig,kmod-static-nodes,getty-static,modprobe@}.service getty.target
    {dev-hugepages,dev-mqueue,run-lock,sys-kernel-config,sys-kernel-tracing,sys-fs-fuse-connections}.mount systemd-ask-password-{console,wall}.path
    proc-sys-fs-binfmt_misc.automount)

# Of udev's rules, those that devices of the lab need.
root_rules=(50-udev-default 80-drivers 99-systemd)

root_recipe() {
    hash_of "$lab_home/lib/root.sh" "$lab_home/lib/chroot.sh" "$lab_home/lib/image.sh" /bin/busybox
}

# root_etc ROOT
root_etc() {
    local root=$1 name
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    cat >>"$root/etc/passwd" <<'EOF'
alice:x:1001:1001:may lease:/tmp:/bin/sh
bob:x:1002:1002:may lease:/tmp:/bin/sh
mallory:x:1003:1003:in no group:/tmp:/bin/sh
olga:x:1004:1004:operator:/tmp:/bin/sh
EOF
    printf '%s:x:%s:\n' alice 1001 bob 1002 mallory 1003 olga 1004 >>"$root/etc/group"
    echo 'passwd: files' >"$root/etc/nsswitch.conf"
    echo '127.0.0.1 localhost lab' >"$root/etc/hosts"
    echo lab >"$root/etc/hostname"
    # Not empty: a first boot would enable whatever has an [Install] section.
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    : >"$root/etc/fstab"
    mkdir -p "$root/etc/systemd/system" "$root"/{home/alice,host,lab,out,root}
    for name in "${root_masked[@]}"; do ln -s /dev/null "$root/etc/systemd/system/$name"; done
    rm -rf "$root"/usr/lib/systemd/system-generators "$root"/usr/lib/udev/hwdb.d
    for name in "$root"/usr/lib/udev/rules.d/*.rules; do [[ " ${root_rules[*]} " == *" $(basename "$name" .rules) "* ]] || rm "$name"; done
}

# The lab's script runs when the system is up, outside of any sandbox, and ends the guest.
root_units() {
    local system=$1/etc/systemd/system
    cat >"$system/lab.target" <<'EOF'
[Unit]
Requires=multi-user.target lab.service
After=multi-user.target lab.service
EOF
    cat >"$system/lab.service" <<'EOF'
[Unit]
After=multi-user.target

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh /host/guest/systemd-main
EOF
}

# Fills $new.
root_store() {
    local release=$1 root=$work/root chroot_unshare
    mkdir -p "$root" "$work/nothing"
    chroot_unpack "$root" "${kernel_suite%-backports}" "${root_packages[@]}"
    # As in the other guest: for lab.sh, and for what the packages do not have.
    install -m 755 /bin/busybox "$root/usr/bin/busybox"
    mkdir -p "$root"/{source,result}
    root_etc "$root"
    root_units "$root"
    image_add_modules "$root" "$lab_cache/kernel-$release/modules" "$release"
    # The users and groups that systemd's own packages ask for.
    chroot_run "$root" "$work/nothing" "$work/nothing" systemd-sysusers >&2
    chroot_choose_unshare
    # In a user namespace, in which the files belong to root.
    "${chroot_unshare[@]}" mke2fs -q -t ext4 -O ^has_journal -L root -d "$root" "$new/disk" 1G >&2
    rm -rf "$root"
}

root_build() {
    local release=$1 name=$2 started=$SECONDS
    [[ ! -d $lab_cache/$name ]] || return 0
    say "making a root file system with systemd (about 60 MB to download)"
    cache_add root "$name" root_store "$release"
    say "$name is in the cache after $((SECONDS - started)) s"
}

# root_ensure RELEASE: sets $root_disk.
root_ensure() {
    local release=$1 name
    [[ $release != *-debug ]] || die "the debug kernel has not what systemd needs"
    name=root-$(root_recipe)-$release
    [[ -d $lab_cache/$name ]] || locked root root_build "$release" "$name"
    root_disk=$lab_cache/$name/disk
    touch "${root_disk%/disk}"
}
