#!/bin/sh
# ggml's library for graphics processors, beside libllama, where this machine has one to run it on.
#
# It is of the same npm release as the libllama that tools/deps/llama.sh fetched: that release's packages for
# CUDA and Vulkan hold the same libggml-base, byte by byte, so that their one library more is all that is taken
# from them. The tarballs are pinned by version and SHA-512; npm runs no script. At run time the engine loads
# what lies beside libllama; a library whose own needs are not met (libcuda, libcudart 13 and libcublas 13;
# libvulkan) is left out by the loader and everything runs on the processor.
#
# VX11_GPU: auto (the default), off, cuda or vulkan.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tools/deps/common.sh"

VERSION=3.22.1 # as in llama.sh
PREFIX=$DEPS/llama

have_library() { /sbin/ldconfig -p 2>/dev/null | grep -q "^[[:space:]]*$1 "; }
have_file() { for f in "$@"; do [ -e "$f" ] && return 0; done; return 1; }

wanted() {
    case ${VX11_GPU:-auto} in
    off | cuda | vulkan) echo "${VX11_GPU}" ;;
    auto)
        if [ "$(uname -m)" != x86_64 ]; then
            echo off
        elif have_file /dev/nvidia0 && have_library libcuda.so.1 && have_library libcudart.so.13 &&
            have_library libcublas.so.13; then
            echo cuda
        elif have_file /dev/nvidia0 /dev/dri/renderD* && have_library libvulkan.so.1; then
            echo vulkan
        else
            echo off
        fi
        ;;
    *) die "VX11_GPU must be auto, off, cuda or vulkan, not $VX11_GPU" ;;
    esac
}

KIND=$(wanted)
case $KIND in
off) exit 0 ;;
cuda) SHA512=f2b4028f234d2d9254162b7e6298f0942e21c242a038c224076c2ec9c2817fc354d8edf248a6e259943c6b0f64bb69d44d78d29d422b13a281f3c8ad76e4c1b8 ;;
vulkan) SHA512=6c1c6a53e24e701bb59dbe508f6cdc31c8be241c93d44f046a31ef62877235f5483e41215e1fbf1ccc11d7f053ef13f4f182b4864b3e90cf1f825111d0ff0912 ;;
esac
LIBRARY=libggml-$KIND.so
STAMP="$VERSION $KIND $SHA512"

[ "$(uname -m)" = x86_64 ] || die "llama-gpu: there are prebuilt libraries for x86_64 only"
# A libllama of the system brings its own backends.
[ -e "$PREFIX/lib/libllama.so" ] || exit 0
if stamp_is llama-gpu "$STAMP" && [ -f "$PREFIX/lib/$LIBRARY" ]; then
    exit 0
fi

command -v npm >/dev/null 2>&1 || die "llama-gpu: npm is needed to fetch ggml's $KIND library (or VX11_GPU=off)"
say "vx11: fetching ggml's $KIND library (node-llama-cpp $VERSION) into ${PREFIX#"$ROOT"/}"
TMP=$(mktemp -d "$DEPS/llama-gpu.XXXXXX")
trap 'rm -rf "$TMP"' EXIT INT TERM
SPEC=@node-llama-cpp/linux-x64-$KIND@$VERSION
(cd "$TMP" && npm pack --ignore-scripts --no-audit --no-fund --loglevel=error "$SPEC" >"$TMP/npm.log" 2>&1) ||
    { cat "$TMP/npm.log" >&2; die "llama-gpu: npm could not fetch $SPEC"; }
file=$(find "$TMP" -maxdepth 1 -name '*.tgz')
[ -f "$file" ] || { cat "$TMP/npm.log" >&2; die "llama-gpu: npm fetched no file for $SPEC"; }
printf '%s  %s\n' "$SHA512" "$file" | sha512sum --check --status ||
    die "llama-gpu: $SPEC is not the file whose hash is pinned in tools/deps/llama-gpu.sh"
tar -xzf "$file" -C "$TMP" "package/bins/linux-x64-$KIND/$LIBRARY" "package/bins/linux-x64-$KIND/libggml-base.so"
cmp -s "$TMP/package/bins/linux-x64-$KIND/libggml-base.so" "$PREFIX/lib/libggml-base.so" ||
    die "llama-gpu: $LIBRARY is of another release than libllama"
mv "$TMP/package/bins/linux-x64-$KIND/$LIBRARY" "$PREFIX/lib/$LIBRARY"
stamp_set llama-gpu "$STAMP"
