# shellcheck shell=sh
# What the dependency scripts share. Sourced, never run: the caller has set ROOT.
#
# Everything a script fetches lands below $DEPS (git-ignored). A stamp file per
# dependency holds its version and hash, so that a second run has nothing to do.

DEPS=${VX11_DEPS_DIR:-$ROOT/.deps}
STAMPS=$DEPS/stamps

say() { printf '%s\n' "$*" >&2; }
die() { say "vx11: $*"; exit 1; }

# stamp_is NAME VALUE: true when dependency NAME was put in place as VALUE.
stamp_is() { [ -f "$STAMPS/$1" ] && [ "$(cat "$STAMPS/$1")" = "$2" ]; }
stamp_set() { mkdir -p "$STAMPS" && printf '%s\n' "$2" >"$STAMPS/$1"; }

# dpkg_has PACKAGE: true when the package is installed and configured.
dpkg_has() {
    # shellcheck disable=SC2016 # the format is dpkg's, not the shell's
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
