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

# Makes $chroot.
modules_chroot_build() {
    local release=$1 started=$SECONDS
    [[ ! -d $lab_cache/$chroot ]] || return 0
    say "making a place to build modules for $release in (about 120 MB to download)"
    cache_add chroot "$chroot" chroot_store "${kernel_suite%-backports} $kernel_suite" "linux-headers-$release"
    say "$chroot is in the cache after $((SECONDS - started)) s"
}

# Fills $new with the modules.
modules_store() {
    local release=$1 source directory built
    built=$work/modules
    rm -rf "$built"
    for source in "${modules_sources[@]}"; do
        directory=$built/$(basename "$(dirname "$source")")
        mkdir -p "$directory"
        cp "$source" "$directory/"
    done
    mkdir -p "$work/result"
    for directory in "$built"/*/; do
        [[ -d $directory ]] || continue
        chroot_run "$lab_cache/$chroot" "$directory" "$work/result" \
            make -s -C "/usr/lib/modules/$release/build" M=/source modules >&2 ||
            die "the modules of $(basename "$directory") do not compile for $release"
        mv "$directory"/*.ko "$new/"
    done
    rm -rf "$built" "$work/result"
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
    chroot=chroot-$(sha256sum <<<"${chroot_tools[*]}" | cut -c1-12)-$release
    [[ -d $lab_cache/$chroot ]] || locked chroot modules_chroot_build "$release"
    touch "$lab_cache/$chroot"
    modules_find_sources
    name=modules-$(hash_of "$lab_home/lib/modules.sh" "${modules_sources[@]}")-$release
    [[ -d $lab_cache/$name ]] || locked modules modules_build "$name" "$release"
    modules=$lab_cache/$name
    touch "$modules"
}
