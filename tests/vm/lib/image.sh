# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The guest's root file system: busybox, this machine's C libraries, a few modules; in the cache as image-<recipe>-<release>.

# What guest/init loads, with whatever these depend on.
image_modules=(vfio-pci vfio_iommu_type1 9pnet_virtio 9p e1000 pci-stub nvme vfat nls_cp437 nls_ascii nls_utf8 virtio_blk ext4)

# What programs built on this machine may need: C helpers, Native AOT executables and what these load at run time.
image_libraries=(ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_files.so.2
    libgcc_s.so.1 libstdc++.so.6 libz.so.1 libssl.so.3 libcrypto.so.3)

image_library_paths() {
    local library path
    for library in "${image_libraries[@]}"; do
        for path in /lib64/"$library" /lib/x86_64-linux-gnu/"$library" /usr/lib/x86_64-linux-gnu/"$library"; do
            if [[ -e $path ]]; then
                echo "$path"
                break
            fi
        done
    done
}

image_recipe() {
    local libraries
    mapfile -t libraries < <(image_library_paths)
    hash_of "$lab_home/lib/image.sh" "$lab_home/guest/init" /bin/busybox "${libraries[@]}"
}

image_tree() {
    local root=$1 modules=$2 release=$3 applet library
    mkdir -p "$root"/{bin,dev,etc,host,lab,lib64,lib/x86_64-linux-gnu,mnt,out,proc,root,run,sbin,sys,tmp,usr/bin,usr/lib,var/lib,home}
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
    done
    while read -r library; do cp --dereference "$library" "$root/lib/x86_64-linux-gnu/"; done < <(image_library_paths)
    # The path that every executable names as its interpreter.
    ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$root/lib64/ld-linux-x86-64.so.2"
    install -m 755 "$lab_home/guest/init" "$root/init"
    image_etc "$root"
    image_add_modules "$root" "$modules" "$release"
}

image_etc() {
    local etc=$1/etc
    cat >"$etc/passwd" <<'EOF'
root:x:0:0:root:/root:/bin/sh
barbroker:x:990:990:BAR Broker:/var/lib/barbroker:/bin/false
alice:x:1001:1001:may lease:/tmp:/bin/sh
bob:x:1002:1002:may lease:/tmp:/bin/sh
mallory:x:1003:1003:in no group:/tmp:/bin/sh
olga:x:1004:1004:operator:/tmp:/bin/sh
EOF
    cat >"$etc/group" <<'EOF'
root:x:0:
barbroker:x:990:alice,bob
barbroker-admin:x:991:olga
alice:x:1001:
bob:x:1002:
mallory:x:1003:
olga:x:1004:
EOF
    echo 'passwd: files' >"$etc/nsswitch.conf"
    echo '127.0.0.1 localhost lab' >"$etc/hosts"
    # shellcheck disable=SC2016 # for the guest's shell to expand
    echo 'PS1="lab:\w# "; export PATH=/host/bin:/host/guest:/lab:/bin:/sbin' >"$etc/profile"
}

# Only the modules that are asked for, decompressed, since that is slow in the guest.
image_add_modules() {
    local root=$1 modules=$2 release=$3 file relative quiet=()
    # Which does not have all of them.
    ! kernel_is_own "$release" || quiet=(--quiet)
    while read -r file; do
        relative=${file#"$modules"/}
        mkdir -p "$root/$(dirname "$relative")"
        if [[ $file == *.xz ]]; then xz --decompress --stdout "$file"; else cat "$file"; fi >"$root/${relative%.xz}"
    done < <(modprobe "${quiet[@]}" --config /dev/null --dirname "$modules" --set-version "$release" --show-depends --all "${image_modules[@]}" |
        sed -n 's/^insmod \(\S*\).*/\1/p' | sort -u)
    cp "$modules/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$release/"
    depmod --basedir "$root" "$release"
}

# Fills $new.
image_store() {
    local release=$1
    image_tree "$work/root" "$lab_cache/kernel-$release/modules" "$release"
    # Not compressed: the guest would take longer to unpack it than QEMU to load it.
    (cd "$work/root" && find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet) >"$new/initramfs"
    cp "$lab_cache/kernel-$release/vmlinuz" "$new/vmlinuz"
    rm -rf "$work/root"
}

image_build() {
    local release=$1 name=$2 started=$SECONDS
    [[ ! -d $lab_cache/$name ]] || return 0
    cache_add image "$name" image_store "$release"
    say "image $name is in the cache after $((SECONDS - started)) s"
}

# image_ensure [refresh]: sets $image to a directory with vmlinuz and initramfs, and $release; builds what is missing.
image_ensure() {
    local name
    locked kernel kernel_ensure "${1:-}"
    release=$(kernel_cached)
    name=image-$(image_recipe)-$release
    [[ -d $lab_cache/$name ]] || locked image image_build "$release" "$name"
    image=$lab_cache/$name
    touch "$image"
}
