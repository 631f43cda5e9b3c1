# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The DKMS package where it can be installed without a machine of its own: a copy of the chroot that has the lab's kernel headers, a compiler, dkms and dpkg's database.

# dkms_run PACKAGE-FILE DIRECTORY: runs chroot/dkms.sh with both; what DKMS has built is put in the directory.
dkms_run() {
    local deb=$1 directory=$2 chroot root=$work/dkms
    modules_chroot_ensure "$release"
    mkdir -p "$work/dkms-source"
    cp "$deb" "$work/dkms-source/barbroker-dkms.deb"
    cp "$lab_home/guest/lab.sh" "$lab_home/chroot/dkms.sh" "$work/dkms-source/"
    cp -a "$lab_cache/$chroot" "$root"
    chroot_run "$root" "$work/dkms-source" "$directory" sh -c 'cd /source && exec sh dkms.sh "$1"' - "$release"
}
