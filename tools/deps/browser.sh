#!/bin/sh
# The Playwright MCP server, by which the operator drives Chromium: pinned by
# tools/sidecar/package-lock.json, put into .deps/browser. npm runs no script,
# and no browser is downloaded: Chromium is the system's (apt.sh browser).
#
# browser.sh           fetch it; an error when Node or npm is missing
# browser.sh optional  the same where Node is; else say in one line what is missing
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

PREFIX=$DEPS/browser
SOURCE=$ROOT/tools/sidecar

have_chromium() {
    for f in /usr/lib/chromium/chromium /usr/lib64/chromium/chromium /opt/google/chrome/chrome; do
        [ -x "$f" ] && return 0
    done
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
        command -v google-chrome-stable >/dev/null 2>&1
}

hint() { say "vx11: without $1 the operator has no browser; to install all of it: ./dev deps browser"; }

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    [ "${1:-}" != optional ] || { hint "Node and npm"; exit 0; }
    die "browser: Node and npm are needed"
fi
if ! { [ -f "$PREFIX/node_modules/@playwright/mcp/cli.js" ] &&
    cmp -s "$SOURCE/package-lock.json" "$PREFIX/package-lock.json"; }; then
    say "vx11: fetching the Playwright MCP server into ${PREFIX#"$ROOT"/}"
    mkdir -p "$DEPS"
    TMP=$(mktemp -d "$DEPS/browser.XXXXXX")
    trap 'rm -rf "$TMP"' EXIT INT TERM
    chmod 755 "$TMP"
    cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$SOURCE/.npmrc" "$TMP/"
    if ! (cd "$TMP" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
        --loglevel=error >npm.log 2>&1); then
        cat "$TMP/npm.log" >&2
        [ "${1:-}" != optional ] || { hint "the Playwright MCP server, which npm could not fetch,"; exit 0; }
        die "browser: npm could not fetch the Playwright MCP server"
    fi
    rm -rf "$PREFIX" "$TMP/npm.log"
    mv "$TMP" "$PREFIX"
fi
if [ "${1:-}" = optional ] && ! have_chromium; then
    hint Chromium
fi
