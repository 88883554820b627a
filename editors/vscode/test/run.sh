#!/usr/bin/env bash
# The extension's end-to-end test in a real VS Code; screenshots go to target/editors/shots.
#   bash editors/vscode/test/run.sh [--latency]
# FOVEA_BIN: the program to test, target/release/fovea if unset. FOVEA_MODEL_PATH: a model, else none.
set -euo pipefail
cd "$(dirname "$0")/../../.."
tools=$(realpath -m "${FOVEA_EDITORS_DIR:-target/editors}")
binary=$(realpath "${FOVEA_BIN:-target/release/fovea}")
bash editors/vscode/test/setup.sh "$tools/vscode"
export PATH="$tools/vscode/bin:$PATH"
(
    cd editors/vscode
    [ -d node_modules/esbuild ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    npm run -s package >/dev/null
)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r examples/projects/python "$scratch/project"
git -C "$scratch/project" init -q
export FOVEA_HOME="$scratch/home" FOVEA_OFFLINE=true FOVEA_BIN="$binary"
status=0
timeout 400 node editors/vscode/test/e2e.mjs "$tools/vscode" editors/vscode/fovea.vsix \
    "$scratch/project" "$tools/shots" "$@" || status=$?
"$binary" daemon stop >/dev/null 2>&1 || true
exit $status
