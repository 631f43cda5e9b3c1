# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A stock Debian kernel, unpacked in the cache as kernel-<release>/{vmlinuz,modules/}.

kernel_suite=trixie-backports
kernel_pattern='^linux-binary-7\.[0-9.]+\+deb[0-9]+-amd64$'
kernel_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The newest kernel in the cache, or nothing.
kernel_cached() {
    local found
    found=$(find "$lab_cache" -maxdepth 1 -type d -name 'kernel-7.*' -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
    echo "${found#kernel-}"
}

kernel_mirror() {
    local mirror=${BARBROKER_LAB_MIRROR:-}
    # shellcheck disable=SC2016 # a format of apt-get, not of the shell
    [[ -n $mirror ]] || mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sed -n 1p)
    [[ -n $mirror ]] || die "apt knows no Debian mirror (run apt-get update, or name one in BARBROKER_LAB_MIRROR)"
    echo "$mirror"
}

# apt with sources and state of its own: the machine's lists, sources and hooks stay out of it, its proxies and signatures stay in.
kernel_apt_configure() {
    mkdir -p "$work"/{lists/partial,cache/archives/partial,sources.list.d,debs}
    : >"$work/status"
    echo "deb [arch=amd64 signed-by=$kernel_keyring] $(kernel_mirror) $kernel_suite main" >"$work/sources.list"
    cat >"$work/apt.conf" <<EOF
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/sources.list.d";
APT::Architecture "amd64";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
    # Lets apt download as its own unprivileged user when root runs it.
    chmod 711 "$work"
    ((EUID != 0)) || chown _apt "$work/debs" "$work"/{lists,cache/archives}/partial 2>/dev/null || true
}

kernel_newest() { apt-cache -c "$work/apt.conf" pkgnames linux-binary- | grep -E "$kernel_pattern" | sort -V | tail -n 1; }

kernel_fetch() {
    local package release deb started=$SECONDS
    kernel_apt_configure
    say "looking for the newest 7.x kernel in $kernel_suite"
    apt-get -c "$work/apt.conf" -qq update >&2
    package=$(kernel_newest) || die "$kernel_suite has no package like $kernel_pattern"
    release=${package#linux-binary-}
    if [[ -d $lab_cache/kernel-$release ]]; then
        say "have the newest: $release"
        return
    fi
    say "downloading linux-{binary,modules,base}-$release (about 120 MB)"
    (cd "$work/debs" && apt-get -c "$work/apt.conf" -qq download "linux-binary-$release" "linux-modules-$release" "linux-base-$release" >&2)
    for deb in "$work"/debs/*.deb; do dpkg-deb --extract "$deb" "$work/unpacked"; done
    cache_add kernel "kernel-$release" kernel_store "$work/unpacked/usr/lib/modules/$release" "$release"
    rm -rf "$work"/{debs,unpacked}
    say "kernel $release is in the cache after $((SECONDS - started)) s"
}

# Fills $new from the unpacked packages.
kernel_store() {
    local from=$1 release=$2
    mv "$from/vmlinuz" "$from/config" "$new/"
    mkdir -p "$new/modules/lib/modules"
    mv "$from" "$new/modules/lib/modules/$release"
    depmod --basedir "$new/modules" "$release"
}

# kernel_ensure [refresh]: without it, a kernel in the cache is good enough and no network is needed.
kernel_ensure() {
    [[ ${1:-} == refresh || -z $(kernel_cached) ]] || return 0
    kernel_fetch
}
