#!/bin/sh
# yyjson, from the system when pkg-config knows it.
#
# Debian 12 has no such package. Debian 13 does, so its two packages are fetched
# through apt with a private state (lists, cache and sources of our own; the
# system's are not touched), checked against the Debian keyring that the machine
# has, and unpacked, not installed, below .deps/yyjson. The mirror is the one
# the machine's own sources name.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

SUITE=trixie
PACKAGES="libyyjson0 libyyjson-dev"
PREFIX=$DEPS/yyjson

if pkg-config --exists yyjson 2>/dev/null; then
    exit 0
fi
if stamp_is yyjson "$SUITE" && [ -f "$PREFIX/usr/include/yyjson.h" ]; then
    exit 0
fi

# The first Debian archive among the machine's sources. Both of apt's formats
# are read; the security and other vendors' archives do not hold the suite.
mirror_find() {
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] || continue
        awk '
            function flush() {
                if (deb && uri != "" && suites ~ /(^| )(bookworm|trixie|stable|oldstable|testing|sid)( |$)/) { print uri; done = 1; exit }
                deb = 0; uri = ""; suites = ""
            }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]*#/ { next }
            tolower($1) == "types:" { deb = ($0 ~ /(^|[ \t])deb([ \t]|$)/) }
            tolower($1) == "uris:" { uri = $2 }
            tolower($1) == "suites:" { $1 = ""; suites = $0 " " }
            END { if (!done) flush() }
        ' "$f"
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] || continue
        sed -n 's/^[ \t]*deb[ \t]\{1,\}\(\[[^]]*\][ \t]*\)\{0,1\}\([^ \t]*\)[ \t]\{1,\}\([^ \t]*\).*/\2 \3/p' "$f" |
            awk '$2 ~ /^(bookworm|trixie|stable|oldstable|testing|sid)$/ { print $1 }'
    done
}

keyring_find() {
    for k in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
        if [ -f "$k" ]; then
            printf '%s\n' "$k"
            return 0
        fi
    done
    return 1
}

MIRROR=$(mirror_find | head -n 1)
[ -n "$MIRROR" ] || die "yyjson is not installed and no Debian archive is among apt's sources: install libyyjson-dev"
KEYRING=$(keyring_find) || die "yyjson: the Debian keyring is missing: install debian-archive-keyring"

say "vx11: fetching yyjson (Debian $SUITE's signed package) into ${PREFIX#"$ROOT"/}"
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT INT TERM
# apt drops its privileges for downloads: let its user write here.
chmod 755 "$TMP"
mkdir -p "$TMP/lists/partial" "$TMP/cache/archives/partial" "$TMP/get"
if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
    chown _apt "$TMP/lists/partial" "$TMP/cache/archives/partial" "$TMP/get"
fi
printf 'deb [signed-by=%s] %s %s main\n' "$KEYRING" "$MIRROR" "$SUITE" >"$TMP/sources.list"

apt_private() {
    apt-get -qq -o Dir::State::Lists="$TMP/lists" -o Dir::Cache="$TMP/cache" \
        -o Dir::Etc::SourceList="$TMP/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o APT::Get::List-Cleanup=0 -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
apt_private update >"$TMP/log" 2>&1 || { cat "$TMP/log" >&2; die "yyjson: apt could not read $SUITE's list"; }
# shellcheck disable=SC2086 # a list of words
(cd "$TMP/get" && apt_private download $PACKAGES >"$TMP/log" 2>&1) ||
    { cat "$TMP/log" >&2; die "yyjson: apt could not fetch $PACKAGES"; }

rm -rf "$PREFIX"
mkdir -p "$PREFIX"
for deb in "$TMP"/get/*.deb; do
    dpkg-deb -x "$deb" "$PREFIX"
done
[ -f "$PREFIX/usr/include/yyjson.h" ] || die "yyjson: the package held no yyjson.h"
stamp_set yyjson "$SUITE"
