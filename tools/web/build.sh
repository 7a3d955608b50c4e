#!/bin/sh
# Builds the page (web/) into a folder that the binary embeds: build/web/dist, or $1/dist.
#
#   build.sh [DIR]           builds when the sources are others than last time; npm ci when the lock file changed
#   build.sh --check [DIR]   builds nothing; 0 when what lies there is of these sources, 1 when not
#
# Node and npm are needed (./dev installs them). npm runs no script of any package.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi
OUT=${1:-$ROOT/build/web}

# One hash over the names and contents of whatever the page is made of.
sources_hash() {
    (cd "$ROOT" && find web tools/web -name node_modules -prune -o -type f ! -name 'README.md' ! -name '*.tsbuildinfo' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
}
is_built() { [ -f "$OUT/dist/index.html" ] && [ "$(cat "$OUT/stamp" 2>/dev/null)" = "$1" ]; }

hash=$(sources_hash)
if is_built "$hash"; then
    exit 0
fi
[ -z "$check" ] || exit 1

mkdir -p "$OUT"
# Several builds may want it at once: one makes it, the others wait for that.
if [ -z "${VX11_WEB_LOCKED:-}" ] && command -v flock >/dev/null 2>&1; then
    VX11_WEB_LOCKED=1 exec flock "$OUT/lock" sh "$0" "$OUT"
fi
hash=$(sources_hash)
if is_built "$hash"; then
    exit 0
fi
for tool in node npm; do
    command -v "$tool" >/dev/null 2>&1 || die "the page needs $tool to be built: run ./dev build, which installs it"
done

LOG=$OUT/build.log
failed() {
    cat "$LOG" >&2
    die "$1"
}
if ! cmp -s "$ROOT/web/package-lock.json" "$ROOT/web/node_modules/.vx11-lock.json"; then
    say "vx11: installing the page's packages"
    (cd "$ROOT/web" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$LOG" 2>&1 </dev/null ||
        failed "npm could not install the page's packages"
    cp "$ROOT/web/package-lock.json" "$ROOT/web/node_modules/.vx11-lock.json"
fi
say "vx11: building the page"
rm -rf "$OUT/new"
(cd "$ROOT/web" && VX11_WEB_OUT=$OUT/new NODE_ENV=production node node_modules/vite/bin/vite.js build --logLevel warn) >"$LOG" 2>&1 </dev/null ||
    failed "the page could not be built"
node "$ROOT/tools/web/compress.mjs" "$OUT/new" >>"$LOG" 2>&1 || failed "the page could not be compressed"
rm -rf "$OUT/dist.old"
[ ! -d "$OUT/dist" ] || mv "$OUT/dist" "$OUT/dist.old"
mv "$OUT/new" "$OUT/dist"
rm -rf "$OUT/dist.old"
printf '%s\n' "$hash" >"$OUT/stamp"
