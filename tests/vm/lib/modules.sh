# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The project's own kernel modules, built for the lab's kernel in chroot-<packages>-<release>; in the cache as modules-<hash>-<release>.

# Directories with a Kbuild; one that is not there is left out.
modules_directories=("$lab_home/../../kernel" "$lab_home/importer")

# Sets $modules_sources to the files that a module is made of, with the directory's own name before each.
modules_find_sources() {
    local directory
    modules_sources=()
    for directory in "${modules_directories[@]}"; do
        [[ -d $directory ]] || continue
        mapfile -t -O "${#modules_sources[@]}" modules_sources < <(
            find "$directory" -maxdepth 1 -type f \( -name '*.[chS]' -o -name Kbuild -o -name Makefile \) ! -name '*.mod.c' | LC_ALL=C sort)
    done
}

# modules_chroot_build RELEASE PACKAGE...: makes $chroot.
modules_chroot_build() {
    local release=$1 started=$SECONDS
    shift
    [[ ! -d $lab_cache/$chroot ]] || return 0
    say "making a place to build modules for $release in (about 120 MB to download)"
    cache_add chroot "$chroot" chroot_store "${kernel_suite%-backports} $kernel_suite" "$@"
    say "$chroot is in the cache after $((SECONDS - started)) s"
}

# modules_chroot_ensure RELEASE: sets $chroot to the name of one with the kernel's headers, and dkms (see dkms.sh), or for a kernel of the lab's own with what it takes to build that.
modules_chroot_ensure() {
    local release=$1 packages=("linux-headers-$1" dkms libc-bin)
    ! kernel_is_own "$release" || packages=(bc bison flex gcc gzip kmod libc6-dev libelf-dev libssl-dev perl python3-minimal tar xz-utils)
    chroot=chroot-$(sha256sum <<<"${chroot_tools[*]} ${packages[*]}" | cut -c1-12)-$release
    [[ -d $lab_cache/$chroot ]] || locked chroot modules_chroot_build "$release" "${packages[@]}"
    touch "$lab_cache/$chroot"
}

# Fills $new with the modules.
modules_store() {
    local release=$1 source directory built=$work/modules kernel=/usr/lib/modules/$release/build kbuild=$work/kbuild
    # A kernel of our own has its headers beside it.
    if [[ -d $lab_cache/kernel-$release/kbuild ]]; then
        kbuild=$lab_cache/kernel-$release/kbuild
        kernel=/result
    fi
    rm -rf "$built"
    for source in "${modules_sources[@]}"; do
        directory=$built/$(basename "$(dirname "$source")")
        mkdir -p "$directory"
        cp "$source" "$directory/"
    done
    mkdir -p "$kbuild"
    for directory in "$built"/*/; do
        [[ -d $directory ]] || continue
        chroot_run "$lab_cache/$chroot" "$directory" "$kbuild" make -s -C "$kernel" M=/source modules >&2 ||
            die "the modules of $(basename "$directory") do not compile for $release"
        mv "$directory"/*.ko "$new/"
    done
    rm -rf "$built" "$work/kbuild"
}

modules_build() {
    local name=$1 release=$2 started=$SECONDS
    [[ ! -d $lab_cache/$name ]] || return 0
    cache_add modules "$name" modules_store "$release"
    say "$name is in the cache after $((SECONDS - started)) s"
}

# modules_ensure RELEASE: sets $modules to a directory with every module of ours, built for this kernel.
modules_ensure() {
    local release=$1 name chroot modules_sources
    modules_chroot_ensure "$release"
    modules_find_sources
    name=modules-$(hash_of "$lab_home/lib/modules.sh" "${modules_sources[@]}")-$release
    [[ -d $lab_cache/$name ]] || locked modules modules_build "$name" "$release"
    modules=$lab_cache/$name
    touch "$modules"
}
