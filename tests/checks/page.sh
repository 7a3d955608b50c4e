#!/bin/sh
# The page: its types hold, and every word of the one language has the same holes in the other.
set -eu
cd "$(dirname "$0")/../.."
tools/web/build.sh # installs what tsc needs
cd web
node node_modules/typescript/bin/tsc --noEmit
node ../tools/web/words.mjs
