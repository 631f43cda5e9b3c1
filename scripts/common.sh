# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The SDK runs without ICU, which a minimal Debian does not have.
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
if ! [ -t 1 ]; then say() { printf '==> %s\n' "$*"; }; fi

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Ends with one line that says how to get it, if the SDK that global.json pins (or a later feature band of it) is not there.
need_sdk() {
    local pinned
    pinned=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' global.json)
    if ! command -v dotnet >/dev/null || ! dotnet --version >/dev/null 2>&1; then
        die "the .NET SDK $pinned is missing: get it with  curl -fsSL https://dot.net/v1/dotnet-install.sh | bash -s -- --version $pinned  and put ~/.dotnet first in PATH"
    fi
}

# need_packages WHY PACKAGE...: installs what is missing, as root or by a sudo that does not ask; else names the command.
need_packages() {
    local why=$1 missing=() package
    shift
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local root=()
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || die "$why needs Debian packages: run  sudo apt-get install -y ${missing[*]}  and try again"
        root=(sudo -n)
    fi
    say "installing for $why: ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# quietly COMMAND...: shows what the command printed only if it fails; meanwhile, every 20 s, that it is still going on.
quietly() {
    local output ticker status=0
    tick &
    ticker=$!
    output=$("$@" 2>&1) || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    [ "$status" = 0 ] || die "$* failed:"$'\n'"$output"
}

# Until it is killed, or the script that it is for has gone. Waits by `read`, as a `sleep` would outlive it and keep the output open.
tick() {
    local started=$SECONDS never
    exec {never}<> <(:)
    while kill -0 $$ 2>/dev/null; do
        read -rt 20 -u "$never" || true
        printf '    %d s, still going on\n' $((SECONDS - started))
    done
}

# Publishes one project with Native AOT to artifacts/publish/NAME, quietly unless it fails.
publish_aot() {
    local project=$1 name=$2
    say "publishing $name with Native AOT: C# to one program of machine code; one to three minutes, less when little has changed"
    quietly dotnet publish "$project" -c Release -o "artifacts/publish/$name" -v q -nologo
}
