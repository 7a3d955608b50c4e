#!/bin/sh
# The arrows between rooms. The build already hides a room's headers from who
# may not see them; this also finds what gets around that (relative includes,
# generated headers) and third-party headers outside the rooms that own them.
set -eu
cd "$(dirname "$0")/../.."
bad=0

# room_sees ROOM: the rooms whose headers it may include.
room_sees() {
    case $1 in
    base) echo base ;;
    contract) echo base contract api ;;
    store | net) echo base contract api "$1" embed ;;
    module) echo base contract api store net module ;;
    link | switch | hermes | engine | supervisor) echo base contract api store net module embed "$1" ;;
    # The doctor reads the head of a model as Hermes does.
    cli) echo base contract api store net module supervisor hermes cli ;;
    *) echo base contract api store net module embed "$1" ;;
    esac
}

complain() {
    printf '%s\n' "$*"
    bad=1
}

for dir in src/*/; do
    room=$(basename "$dir")
    allowed=" $(room_sees "$room" | tr '\n' ' ') "
    includes=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$dir" --include='*.c' --include='*.cpp' --include='*.h' || true)
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        file=${line%%:*}
        path=$(printf '%s\n' "$line" | sed 's/^[^"]*"\([^"]*\)".*/\1/')
        case $path in
        ../* | */../*) complain "$file: relative include \"$path\"" ;;
        version.h) ;;
        */*)
            case $allowed in
            *" ${path%%/*} "*) ;;
            *) complain "$file: $room may not include \"$path\"" ;;
            esac
            ;;
        *) complain "$file: \"$path\" must be included with its room's name" ;;
        esac
    done <<END
$includes
END
done

# Third-party headers, and the rooms that own them.
owner() { # HEADER-PATTERN ROOM...
    pattern=$1
    shift
    files=$(grep -rlE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<($pattern)" src --include='*.c' --include='*.cpp' --include='*.h' || true)
    for file in $files; do
        room=${file#src/}
        room=${room%%/*}
        case " $* " in
        *" $room "*) ;;
        *) complain "$file: includes <$pattern>, which belongs to: $*" ;;
        esac
    done
}
owner 'microhttpd\.h|wslay/|curl/' net
owner 'llama\.h|llama-common/|ggml|gguf\.h' engine
owner 'editline/|histedit\.h|ncurses|curses\.h|term\.h' cli supervisor
owner 'libfyaml\.h' contract module
exit "$bad"
