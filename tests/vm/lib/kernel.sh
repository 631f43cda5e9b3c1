# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A stock Debian kernel, unpacked in the cache as kernel-<release>/{vmlinuz,modules/}; a file "newest" there says that it was
# the suite's newest 7.x when it was looked for last.

kernel_suite=trixie-backports
kernel_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Which kernel is wanted: "" for the newest, a series such as 7.2 for the newest of it, "debug" or "cdev" for the newest of these that build-kernel has built.
kernel_wanted=${BARBROKER_LAB_KERNEL:-}

# kernel_is_own RELEASE-OR-KIND: one of those that the lab builds itself, with no more than kernels/*.config say.
kernel_is_own() { [[ $1 =~ (^|-)(debug|cdev)$ ]]; }

# A regular expression for releases that will do.
kernel_pattern() {
    case $kernel_wanted in
        '') echo '7\.[0-9]+(\.[0-9]+)*\+deb[0-9]+-amd64' ;;
        debug | cdev) echo "7\.[0-9]+(\.[0-9]+)*-$kernel_wanted" ;;
        *) echo "${kernel_wanted//./\\.}(\.[0-9]+)*\+deb[0-9]+-amd64" ;;
    esac
}

# The release in the cache that is wanted, or nothing.
kernel_cached() {
    local directory
    for directory in "$lab_cache"/kernel-*; do
        [[ -d $directory && ( -n $kernel_wanted || -e $directory/newest ) ]] || continue
        echo "${directory##*/kernel-}"
    done | { grep -Ex "$(kernel_pattern)" || true; } | sort -V | tail -n 1
}

kernel_mirror() {
    local mirror=${BARBROKER_LAB_MIRROR:-}
    # shellcheck disable=SC2016 # a format of apt-get, not of the shell
    [[ -n $mirror ]] || mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sed -n 1p)
    [[ -n $mirror ]] || die "apt knows no Debian mirror (run apt-get update, or name one in BARBROKER_LAB_MIRROR)"
    echo "$mirror"
}

# apt_configure SUITE...: apt with sources and state of its own: the machine's lists, sources and hooks stay out of it, its proxies and
# signatures stay in.
apt_configure() {
    local suite mirror
    mirror=$(kernel_mirror)
    rm -rf "$work"/{lists,cache,sources.list,sources.list.d}
    mkdir -p "$work"/{lists/partial,cache/archives/partial,sources.list.d,debs}
    : >"$work/status"
    for suite; do echo "deb [arch=amd64 signed-by=$kernel_keyring] $mirror $suite main"; done >"$work/sources.list"
    cat >"$work/apt.conf" <<EOF
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$work/sources.list.d";
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

kernel_newest() {
    apt-cache -c "$work/apt.conf" pkgnames linux-binary- | sed -n 's/^linux-binary-//p' | { grep -Ex "$(kernel_pattern)" || true; } | sort -V | tail -n 1
}

kernel_fetch() {
    local release
    apt_configure "$kernel_suite"
    say "looking for the newest ${kernel_wanted:-7.x} kernel in $kernel_suite"
    apt-get -c "$work/apt.conf" -qq update >&2
    release=$(kernel_newest)
    [[ -n $release ]] || die "$kernel_suite has no package linux-binary-${kernel_wanted:-7}.*"
    if [[ -d $lab_cache/kernel-$release ]]; then
        say "have the newest: $release"
    else
        kernel_download "$release"
    fi
    [[ -n $kernel_wanted ]] || touch "$lab_cache/kernel-$release/newest"
}

kernel_download() {
    local release=$1 deb started=$SECONDS
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
    ! kernel_is_own "$kernel_wanted" || die "there is no such kernel in the cache; to build it takes half an hour: $lab_home/build-kernel $kernel_wanted"
    kernel_fetch
}
