#!/bin/sh
# Debian packages, by what they are for: apt.sh SET..., where a set is
#   build    to build and run VX11
#   npm      to build the page, to fetch libllama (build) and the packages of e2e tests and bench
#   test     unit, integration and fuzz tests     browser  e2e tests of the page
#   lint     the checkers of ./dev lint           bench    the peers' tools
#   package  the .deb
# Says nothing when all are there. As root it installs what is missing, else
# through sudo, else it prints the list and stops with 1.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

BUILD="build-essential cmake ninja-build pkg-config ccache git ca-certificates
    libuv1-dev libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libsodium-dev
    libzstd-dev libedit-dev libncurses-dev libfyaml-dev libwslay-dev bubblewrap"
TEST="libcmocka-dev clang libclang-rt-dev sqlite3 curl zsh fish"
LINT="clang clang-tidy clang-format cppcheck shellcheck"
# nginx itself is unpacked, not installed (tools/deps/nginx.sh): these are its libraries.
BENCH="wrk curl sqlite3 libpcre2-8-0 libssl3 zlib1g libcrypt1"
PACKAGE="dpkg-dev fakeroot file"

want=
for set in "$@"; do
    case $set in
    build) want="$want $BUILD" ;;
    npm)
        # Another vendor's Node (newer than Debian's) brings npm along and
        # conflicts with Debian's packages: only what is missing is asked for.
        command -v node >/dev/null 2>&1 || want="$want nodejs"
        command -v npm >/dev/null 2>&1 || want="$want npm"
        ;;
    test) want="$want $TEST" ;;
    browser) command -v chromium >/dev/null 2>&1 || want="$want chromium" ;;
    lint) want="$want $LINT" ;;
    bench) want="$want $BENCH" ;;
    package) want="$want $PACKAGE" ;;
    *) die "apt.sh: no such set: $set" ;;
    esac
done

# missing PACKAGE...: those that are not installed, one a line, each once.
missing() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        printf '%s\n' "$@" | sort -u
        return
    fi
    # shellcheck disable=SC2016 # the format is dpkg's, not the shell's
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p' | sort -u >"$tmp"
    printf '%s\n' "$@" | sort -u | comm -23 - "$tmp"
}

tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT INT TERM
# shellcheck disable=SC2086 # a list of words
list=$([ -z "$want" ] || missing $want | tr '\n' ' ')
[ -n "$list" ] || exit 0

give_up() {
    say "vx11: $1. These packages are missing; install them and run this again:"
    say "    apt-get install --no-install-recommends $list"
    exit 1
}
command -v apt-get >/dev/null 2>&1 || give_up "this system has no apt-get"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif ! command -v sudo >/dev/null 2>&1; then
    give_up "not root, and there is no sudo"
elif [ ! -t 0 ] && ! sudo -n true 2>/dev/null; then
    give_up "not root, and sudo needs a terminal to ask for a password"
else
    as_root=sudo
fi

say "vx11: installing $list"
[ -z "$as_root" ] || sudo true || give_up "sudo was refused"
apt_run() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$tmp" 2>&1 </dev/null; }
# One broken source among several need not matter: the install decides.
apt_run update || say "vx11: apt-get update had errors: $(tail -n 1 "$tmp")"
# shellcheck disable=SC2086 # a list of words
apt_run install -y --no-install-recommends $list || { cat "$tmp" >&2; die "apt could not install $list"; }
