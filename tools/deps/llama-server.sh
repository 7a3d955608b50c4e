#!/bin/sh
# llama.cpp's own server, built from the very release whose libraries the engine
# uses: the peer that ./dev bench measures the engine against. Nothing else uses
# it, and it is no part of the product.
#
# The source is the git bundle that tools/deps/llama.sh left in .deps/llama. No
# TLS, no web page, no GPU: the same arithmetic as ours on the same processor
# (GGML_NATIVE picks this machine's instruction set, as our run-time choice of
# backend does). One compiler at a time and at low priority, for it takes a
# quarter of an hour: JOBS=2 shortens it.
#
# Prints the path of the program on stdout.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

JOBS=${JOBS:-1}
BUNDLE=$DEPS/llama/gitRelease.bundle
PREFIX=$DEPS/llama-server
SERVER=$PREFIX/bin/llama-server

[ -f "$BUNDLE" ] ||
    die "llama-server: $BUNDLE is missing: tools/deps/llama.sh fetches it (a system libllama has no bundle beside it)"
STAMP="$(sha512sum "$BUNDLE" | cut -d ' ' -f 1) $(uname -m) 2"
if stamp_is llama-server "$STAMP" && [ -x "$SERVER" ]; then
    printf '%s\n' "$SERVER"
    exit 0
fi
for tool in git cmake c++; do
    command -v "$tool" >/dev/null 2>&1 || die "llama-server: $tool is needed to build it"
done

# A build that was cut off goes on where it stopped: the folder is named by the bundle.
WORK=$DEPS/llama-server.build/$(printf '%s' "$STAMP" | cut -c 1-16)
if [ ! -f "$WORK/src/CMakeLists.txt" ]; then
    rm -rf "$DEPS/llama-server.build"
    mkdir -p "$WORK"
    git clone -q --depth 1 "$BUNDLE" "$WORK/src" 2>"$WORK/git.log" ||
        { cat "$WORK/git.log" >&2; die "llama-server: the release bundle could not be read"; }
    # gcc 12 does not see that this instruction reads all of tc and drops the stores into it: on processors with
    # AMX the server then dies of an illegal instruction. This makes tc's contents matter.
    sed -i 's/^    _tile_loadconfig(&tc);$/    __asm__ volatile("" : : "r"(\&tc) : "memory");\n&/' \
        "$WORK/src/ggml/src/ggml-cpu/amx/mmq.cpp"
fi
say "vx11: building llama.cpp's server for the bench (a quarter of an hour the first time)"
nice -n 15 cmake -S "$WORK/src" -B "$WORK/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_SERVER=ON \
    -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_COMMON=ON >"$WORK/configure.log" 2>&1 ||
    { tail -n 20 "$WORK/configure.log" >&2; die "llama-server: configuring failed"; }
nice -n 15 cmake --build "$WORK/build" --target llama-server -j "$JOBS" >"$WORK/build.log" 2>&1 ||
    { tail -n 20 "$WORK/build.log" >&2; die "llama-server: building failed"; }

mkdir -p "$PREFIX/bin"
cp "$WORK/build/bin/llama-server" "$SERVER.new"
strip "$SERVER.new" 2>/dev/null || :
mv "$SERVER.new" "$SERVER"
rm -rf "$DEPS/llama-server.build"
stamp_set llama-server "$STAMP"
printf '%s\n' "$SERVER"
