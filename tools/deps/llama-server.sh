#!/bin/sh
# llama.cpp's own server, of the very release whose libraries the engine uses:
# the peer that ./dev bench measures the engine against. Nothing else uses it,
# and it is no part of the product.
#
# The source is the git bundle that tools/deps/llama.sh left in .deps/llama. The
# program is built, its libraries are not kept: it runs with the same prebuilt
# libllama and ggml as the engine, so that both do the same arithmetic and the
# bench compares the servers. (A native build of the libraries by GCC 12 also
# dies of an illegal instruction where the processor has AMX.) No TLS, no web
# page. One compiler at a time and at low priority, for it takes a quarter of an
# hour: JOBS=2 shortens it.
#
# Prints the path of the program on stdout.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

JOBS=${JOBS:-1}
BUNDLE=$DEPS/llama/gitRelease.bundle
PREFIX=$DEPS/llama-server
SERVER=$PREFIX/bin/llama-server
RECIPE=2 # counts the changes of this script's outcome

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
WORK=$DEPS/llama-server.build/$(printf '%s' "$STAMP" | tr ' ' - | cut -c 1-16)
if [ ! -f "$WORK/src/CMakeLists.txt" ]; then
    rm -rf "$DEPS/llama-server.build"
    mkdir -p "$WORK"
    git clone -q --depth 1 "$BUNDLE" "$WORK/src" 2>"$WORK/git.log" ||
        { cat "$WORK/git.log" >&2; die "llama-server: the release bundle could not be read"; }
    # gcc 12 does not see that this instruction reads all of tc and drops the stores into it: on processors with AMX
    # the server then dies of an illegal instruction. This makes tc's address, and so its contents, matter.
    sed -i 's/^    _tile_loadconfig(&tc);$/    __asm__ volatile("" : : "r"(\&tc) : "memory");\n&/' "$WORK/src/ggml/src/ggml-cpu/amx/mmq.cpp"
fi
say "vx11: building llama.cpp's server for the bench (a quarter of an hour the first time)"
nice -n 15 cmake -S "$WORK/src" -B "$WORK/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=OFF \
    -DBUILD_SHARED_LIBS=ON -DGGML_BACKEND_DL=ON -DGGML_CPU=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_SERVER=ON \
    -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_COMMON=ON >"$WORK/configure.log" 2>&1 ||
    { tail -n 20 "$WORK/configure.log" >&2; die "llama-server: configuring failed"; }
nice -n 15 cmake --build "$WORK/build" --target llama-server -j "$JOBS" >"$WORK/build.log" 2>&1 ||
    { tail -n 20 "$WORK/build.log" >&2; die "llama-server: building failed"; }

# Beside the program: what only the server has, and for the rest, by the names
# that it was linked to, the engine's libraries.
rm -rf "$PREFIX"
mkdir -p "$PREFIX/bin"
cp "$WORK/build/bin/llama-server" "$PREFIX/bin/"
cp -L "$WORK"/build/bin/libllama-server-impl.so* "$WORK"/build/bin/libmtmd.so* "$PREFIX/bin/"
cp -L "$DEPS"/llama/lib/*.so "$PREFIX/bin/"
for lib in llama ggml; do
    set -- "$DEPS"/llama/lib/lib$lib.v*.so
    [ ! -f "$1" ] || ln -sf "$(basename "$1")" "$PREFIX/bin/lib$lib.so"
    [ ! -f "$1" ] || cp "$1" "$PREFIX/bin/"
    ln -sf "lib$lib.so" "$PREFIX/bin/lib$lib.so.0"
done
for lib in ggml-base llama-common; do
    ln -sf "lib$lib.so" "$PREFIX/bin/lib$lib.so.0"
done
LD_LIBRARY_PATH=$PREFIX/bin "$SERVER" --version >"$WORK/version.log" 2>&1 ||
    { tail -n 5 "$WORK/version.log" >&2; die "llama-server: it does not start with the engine's libraries"; }
rm -rf "$DEPS/llama-server.build"
stamp_set llama-server "$STAMP"
printf '%s\n' "$SERVER"
