#!/usr/bin/env bash
# The language server against the protocol's own types; then random edits and requests at once, no answer
# to which may belong to another text. `latency.py` beside them is run by hand.
#   bash tests/protocol/run.sh
# FOVEA_BIN: the program to test, target/release/fovea if unset.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$(realpath -m "${FOVEA_EDITORS_DIR:-target/editors}")
binary=$(realpath "${FOVEA_BIN:-target/release/fovea}")
# The types are generated from the protocol's meta model (MIT); they are installed, not kept here.
[ -d "$tools/protocol" ] || {
    python3 -m venv "$tools/protocol"
    "$tools/protocol/bin/pip" -q --disable-pip-version-check install lsprotocol==2025.0.0
}
scratch=$(mktemp -d)
export FOVEA_HOME="$scratch/home" FOVEA_OFFLINE=true
trap '"$binary" daemon stop >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT
cp -r examples/projects/python "$scratch/project"
timeout 60 "$tools/protocol/bin/python" tests/protocol/conformance.py "$binary" "$scratch/project"
for seed in 1 2; do
    timeout 170 "$tools/protocol/bin/python" tests/protocol/stale.py "$binary" "$scratch/project" "${FOVEA_STALE_STEPS:-10000}" $seed
done
