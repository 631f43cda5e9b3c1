# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# dkms.sh RELEASE: barbroker-dkms.deb from this directory, installed, removed, purged and installed again, in a root directory with dkms and the headers of this
# kernel, which is not the one that runs. Leaves the module that was built in /result.
# shellcheck source=/dev/null
. ./lab.sh
needs dpkg dkms modinfo
release=$1
module=/lib/modules/$release/updates/dkms/vfio_bar_lease.ko
fields='s/.*"\(.*\)"/\1/p'

is_gone() { ! test -e "$1"; }
is_known() { dkms status | grep -q '^vfio-bar-lease/'; }
is_unknown() { ! is_known; }

check "the package installs" dpkg --install barbroker-dkms.deb
name=$(sed -n "/^PACKAGE_NAME=/$fields" /usr/src/vfio-bar-lease-*/dkms.conf)
version=$(sed -n "/^PACKAGE_VERSION=/$fields" /usr/src/vfio-bar-lease-*/dkms.conf)
check "its source is where DKMS looks" test -f "/usr/src/$name-$version/Kbuild"
expect_equal "DKMS has built and installed the module for the kernel whose headers are there" "$name/$version, $release, $(uname -m): installed" "$(dkms status)"
check "the module is there" test -f "$module"
expect_equal "made for that kernel" "$release" "$(modinfo -F vermagic "$module" | cut -d ' ' -f 1)"
cp "$module" /result/ || fail "the module can be kept" "no"

check "the package is installed over itself" dpkg --install barbroker-dkms.deb
check "and DKMS has it again" is_known
check "it can be removed" dpkg --remove barbroker-dkms
check "with the module" is_gone "$module"
check "DKMS no longer knows it" is_unknown
check "it can be purged" dpkg --purge barbroker-dkms
check "nothing of it is left" is_gone "/usr/src/$name-$version"
check "and installed again" dpkg --install barbroker-dkms.deb
check "with the module" test -f "$module"
done_testing
