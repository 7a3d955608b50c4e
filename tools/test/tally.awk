# Counts test cases in the JUnit file that ctest writes, and prints
# "PASSED FAILED SKIPPED". A test executable's output is in its <system-out>:
# cmocka's lines give the cases. An executable that crashed, hung or never ran
# counts the cases it did not get to as failed, and at least one.

function attr(line, name,    a) {
    if (!match(line, " " name "=\"[^\"]*\""))
        return ""
    a = substr(line, RSTART, RLENGTH)
    sub("^[^\"]*\"", "", a)
    sub("\"$", "", a)
    return a
}

function close_case(    bad) {
    if (!open)
        return
    open = 0
    if (status == "run") {
        # Not cmocka: the executable is the case.
        passed += announced ? ok : 1
        skipped += skip
        failed += announced > ok + skip ? announced - ok - skip : 0
    } else if (status == "disabled") {
        skipped++
    } else {
        bad = announced - ok - skip
        passed += ok
        skipped += skip
        failed += bad > 0 ? bad : 1
    }
}

/<testcase / {
    close_case()
    open = 1
    status = attr($0, "status")
    announced = ok = skip = 0
}
open && match($0, /\[==========\] Running [0-9]+ test/) {
    n = substr($0, RSTART, RLENGTH)
    gsub(/[^0-9]/, "", n)
    announced += n
}
open { ok += gsub(/\[       OK \] /, "&") }
# The summary repeats the skipped ones below a line with their number.
open && /\[  SKIPPED \] [0-9]+ test\(s\)/ {
    n = $0
    sub(/.*\[  SKIPPED \] /, "", n)
    skip += n + 0
}
/<\/testcase>/ { close_case() }
END {
    close_case()
    print passed + 0, failed + 0, skipped + 0
}
