#!/bin/sh
# libllama and llama.cpp's chat code, from the system when pkg-config knows both.
#
# Else prebuilt: the npm packages of node-llama-cpp carry llama.cpp's libraries
# for this machine (with one CPU backend per instruction set, picked at run
# time) and, as a git bundle, the very release they were built from, of which we
# take the headers. Both tarballs are pinned by version and SHA-512; npm runs no
# script. The bundle stays: the bench builds llama.cpp's own server from it.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

VERSION=3.22.1
case $(uname -m) in
x86_64)
    PLATFORM=linux-x64
    PLATFORM_SHA512=e6e0820cda9608d7da026f1a47f533c5ba381c1a4a80d17dd640873dea4a86032057638099ab6879f6ce94c8a1b2a0a21f639ddf913f7941d00856df44126e3a
    ;;
aarch64 | arm64)
    PLATFORM=linux-arm64
    PLATFORM_SHA512=5beee768a0975fdfde1238c59914bcbefc7dd50c8b5c36de1717b165cddb87f3ed40005982644bdc2d00b586179f86064e3ff7428af8956667dada636453cb75
    ;;
*) die "llama: no prebuilt libllama for $(uname -m): install llama.cpp so that pkg-config finds it" ;;
esac
SOURCE_SHA512=6e5b488a9b9699cd76dc7eed30880318a4ac4ab866865418795502e3c5d38d55bb5c624988927209d95333343f2e25a83e4183a5c2f816f883a60c3ba9f4e20f
PREFIX=$DEPS/llama
STAMP="$VERSION common $PLATFORM $PLATFORM_SHA512 $SOURCE_SHA512"

if pkg-config --exists llama llama-common 2>/dev/null; then
    exit 0
fi
if stamp_is llama "$STAMP" && [ -e "$PREFIX/lib/libllama.so" ] && [ -f "$PREFIX/include/llama-common/llama-ext.h" ]; then
    exit 0
fi
command -v npm >/dev/null 2>&1 || die "llama: npm is needed to fetch libllama (./dev deps installs it)"
command -v git >/dev/null 2>&1 || die "llama: git is needed to unpack llama.cpp's headers"

say "vx11: fetching libllama (node-llama-cpp $VERSION, $PLATFORM) into ${PREFIX#"$ROOT"/}"
mkdir -p "$DEPS"
TMP=$(mktemp -d "$DEPS/llama.XXXXXX")
trap 'rm -rf "$TMP"' EXIT INT TERM

# package_get SPEC SHA512 DIR: fetch, check, unpack.
package_get() {
    mkdir -p "$3"
    (cd "$3" && npm pack --ignore-scripts --no-audit --no-fund --loglevel=error "$1" >"$TMP/npm.log" 2>&1) ||
        { cat "$TMP/npm.log" >&2; die "llama: npm could not fetch $1"; }
    file=$(find "$3" -maxdepth 1 -name '*.tgz')
    [ -f "$file" ] || { cat "$TMP/npm.log" >&2; die "llama: npm fetched no file for $1"; }
    printf '%s  %s\n' "$2" "$file" | sha512sum --check --status ||
        die "llama: $1 is not the file whose hash is pinned in tools/deps/llama.sh"
    tar -xzf "$file" -C "$3"
    rm -f "$file"
}
package_get "node-llama-cpp@$VERSION" "$SOURCE_SHA512" "$TMP/source"
package_get "@node-llama-cpp/$PLATFORM@$VERSION" "$PLATFORM_SHA512" "$TMP/platform"

new=$TMP/new
mkdir -p "$new/include/llama-common" "$new/lib"
cp "$TMP/source/package/llama/gitRelease.bundle" "$TMP/source/package/llama/llama.cpp.info.json" "$new/"
git clone -q --depth 1 --no-checkout "$new/gitRelease.bundle" "$TMP/clone" 2>"$TMP/git.log" ||
    { cat "$TMP/git.log" >&2; die "llama: the release bundle could not be read"; }
git -C "$TMP/clone" archive HEAD include ggml/include src/llama-ext.h common LICENSE | tar -x -C "$TMP"
cp "$TMP"/include/*.h "$TMP"/ggml/include/*.h "$new/include/"
# Headers of the chat code, which is C++ (in a folder of their own: their names are plain).
(cd "$TMP/common" && find . -name '*.h' -print | tar -c -T -) | tar -x -C "$new/include/llama-common"
# What libllama says of its own memory, which llama.h does not have yet.
cp "$TMP/src/llama-ext.h" "$new/include/llama-common/"
cp "$TMP/LICENSE" "$new/LICENSE"
cp "$TMP/platform/package/bins/$PLATFORM"/*.so "$new/lib/"
# The linker asks for libllama.so; the files carry the release in their names.
for lib in llama ggml; do
    set -- "$new"/lib/lib$lib.v*.so
    if [ -f "$1" ]; then
        ln -sf "$(basename "$1")" "$new/lib/lib$lib.so"
    fi
done
if ! [ -e "$new/lib/libllama.so" ] || ! [ -f "$new/include/llama.h" ] ||
    ! [ -e "$new/lib/libllama-common.so" ] || ! [ -f "$new/include/llama-common/chat.h" ]; then
    die "llama: the packages held no libllama, or not its chat code"
fi
rm -rf "$PREFIX"
mv "$new" "$PREFIX"
stamp_set llama "$STAMP"
