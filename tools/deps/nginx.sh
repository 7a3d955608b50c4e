#!/bin/sh
# nginx, for the bench alone: an installed one, else Debian's package unpacked
# below .deps/nginx. It is not installed, because that would start a service on
# port 80. Its libraries are in apt.sh's bench set.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

PREFIX=$DEPS/nginx
if command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || [ -x "$PREFIX/usr/sbin/nginx" ]; then
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || die "nginx: install it, so that the bench can run it with a configuration of its own"
say "vx11: fetching nginx into ${PREFIX#"$ROOT"/}"
mkdir -p "$DEPS"
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT INT TERM
chmod 755 "$TMP"
if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
    chown _apt "$TMP"
fi
(cd "$TMP" && apt-get -qq download nginx >log 2>&1) ||
    { [ "$(id -u)" = 0 ] && apt-get -qq update >"$TMP/log" 2>&1 && cd "$TMP" && apt-get -qq download nginx >log 2>&1; } ||
    { cat "$TMP/log" >&2; die "nginx: apt could not fetch it"; }
rm -rf "$PREFIX"
mkdir -p "$PREFIX"
dpkg-deb -x "$TMP"/nginx_*.deb "$PREFIX"
"$PREFIX/usr/sbin/nginx" -v 2>/dev/null || die "nginx: the unpacked binary does not run here"
