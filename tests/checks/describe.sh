#!/bin/sh
# What is written from the contract's tables is what is committed. `./dev docs` writes it anew.
set -eu
cd "$(dirname "$0")/../.."
describe=$VX11_BUILD/vx11-describe
bad=0

compare() { # KIND FILE
    [ -f "$2" ] || return 0
    if ! "$describe" "$1" | cmp -s - "$2"; then
        echo "$2 is not what the tables say: run ./dev docs"
        bad=1
    fi
}
compare api docs/API.md
compare config docs/CONFIG.md
compare types web/src/api.ts

# Every module's OpenAPI document is JSON that says so.
for table in api/*.json; do
    module=$(basename "$table" .json)
    grep -q '"routes"' "$table" || continue
    if ! "$describe" openapi "$module" | grep -q '"openapi": *"3\.1'; then
        echo "no OpenAPI document of $module"
        bad=1
    fi
done
exit "$bad"
