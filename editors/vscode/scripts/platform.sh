#!/usr/bin/env bash
# A VSIX for this machine's platform with the program in it: nothing else has to be installed.
#   npm run package:platform        FOVEA_BIN: the program, target/release/fovea if unset
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "${FOVEA_BIN:-../../target/release/fovea}")
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) target=linux-x64 ;;
    Linux-aarch64) target=linux-arm64 ;;
    Darwin-arm64) target=darwin-arm64 ;;
    Darwin-x86_64) target=darwin-x64 ;;
    *) echo "no VSIX target for $(uname -sm)" >&2; exit 1 ;;
esac
trap 'rm -rf server' EXIT
mkdir -p server
cp "$binary" server/fovea
# Line tables are for us.
strip server/fovea
npm run -s check
npm run -s build
npx vsce package --target "$target" --no-dependencies --allow-missing-repository --no-rewrite-relative-links -o "fovea-$target.vsix"
