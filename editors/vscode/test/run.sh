#!/usr/bin/env bash
# The extension's end-to-end test in a real VS Code; screenshots go to target/editors/shots.
#   bash editors/vscode/test/run.sh
#   bash editors/vscode/test/run.sh --latency PROJECT [N_PLACES]   times of keys and suggestions, in a copy
#   bash editors/vscode/test/run.sh --pictures    those of the README, into the extension's media folder
#   bash editors/vscode/test/run.sh --bundled     the tests, with the program inside of the extension
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
trap '"$binary" daemon stop >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT
export FOVEA_HOME="$scratch/home" FOVEA_OFFLINE=true FOVEA_BIN="$binary"
cp -r "${2:-examples/projects/python}" "$scratch/project"
rm -rf "$scratch/project/.git"
git -C "$scratch/project" init -q
here=editors/vscode/test
if [ "${1:-}" = --latency ]; then
    (cd "$here/probe" && ../../node_modules/.bin/vsce package --skip-license --allow-missing-repository -o "$scratch/probe.vsix" >/dev/null)
    timeout 900 node "$here/latency.mjs" "$tools/vscode" editors/vscode/fovea.vsix "$scratch/probe.vsix" "$scratch/project" "${3:-10}"
elif [ "${1:-}" = --pictures ]; then
    timeout 200 node "$here/pictures.mjs" "$tools/vscode" editors/vscode/fovea.vsix "$scratch/project" editors/vscode/media
elif [ "${1:-}" = --bundled ]; then
    (cd editors/vscode && npm run -s package:platform >/dev/null)
    vsix=$(ls editors/vscode/fovea-*-*.vsix)
    FOVEA_BUNDLED=1 timeout 400 node "$here/e2e.mjs" "$tools/vscode" "$vsix" "$scratch/project" "$tools/shots"
else
    timeout 400 node "$here/e2e.mjs" "$tools/vscode" editors/vscode/fovea.vsix "$scratch/project" "$tools/shots"
fi
