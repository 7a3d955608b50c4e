#!/bin/sh
# What is written from the contract's tables and the migrations is what is committed. `./dev docs` writes it anew.
set -eu
cd "$(dirname "$0")/../.."
describe=$VX11_BUILD/vx11-describe
bad=0

compare() { # KIND FILE
    [ -f "$2" ] || return 0
    same "$2" "$describe" "$1"
}
same() { # FILE COMMAND...
    file=$1
    shift
    if ! "$@" | cmp -s - "$file"; then
        echo "$file is not what the tables say: run ./dev docs"
        bad=1
    fi
}
compare api docs/API.md
compare config docs/CONFIG.md
compare types web/src/api.ts
same docs/DB_MAP.md "$VX11_BUILD/vx11" db map --new
same docs/DB_SCHEMA.json "$VX11_BUILD/vx11" db map --new --format json

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
