# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What must be installed on the machine that runs the lab.

prerequisites_missing() {
    local package
    while read -r package; do
        # shellcheck disable=SC2016 # a format of dpkg-query, not of the shell
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || echo "$package"
    done < <(sed 's/#.*//; /^ *$/d' "$lab_home/prerequisites")
}

prerequisites_check() {
    local missing
    [[ $(uname -m) == x86_64 ]] || die "the lab boots an amd64 kernel; on $(uname -m) it has not been tried"
    command -v dpkg-query apt-get >/dev/null || die "the lab takes its kernel and tools from Debian packages; this machine has no apt"
    mapfile -t missing < <(prerequisites_missing)
    ((${#missing[@]} == 0)) || die "not installed: ${missing[*]} (as root: $lab_home/lab prerequisites --install)"
}

prerequisites_install() {
    local missing
    mapfile -t missing < <(prerequisites_missing)
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || die "only root can install ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
}
