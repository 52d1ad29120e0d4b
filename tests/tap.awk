# SPDX-License-Identifier: MIT
# Sum up one TAP stream: prints "PASSED FAILED LISTED" (skips that the list allows) and writes what failed to standard error.
# Variables: source, status (of the program), skips (file: SOURCE PATTERN -- REASON, one a line).
BEGIN {
    plan = -1
    while ((getline line < skips) > 0) {
        if (line ~ /^#/ || line !~ / -- /)
            continue
        split(line, half, " -- ")
        allowed_source[++allowed] = substr(half[1], 1, index(half[1], " ") - 1)
        allowed_pattern[allowed] = substr(half[1], index(half[1], " ") + 1)
    }
}
function failure(text) { failed++; print "    " source ": " text > "/dev/stderr"; after = 6 }
function is_listed(name,   i) {
    for (i = 1; i <= allowed; i++)
        if (source == allowed_source[i] && name ~ allowed_pattern[i])
            return 1
    return 0
}
{ sub(/\r$/, "") }
/^not ok/ { count++; if ($0 ~ /# TODO/) failure("to do: " $0); else failure($0); next }
/^ok.*# [Ss][Kk][Ii][Pp]/ { count++; if (is_listed($0)) listed++; else failure("skipped, but not listed in tests/skips: " $0); next }
/^ok/ { count++; passed++; after = 0; next }
/^1\.\.[0-9]+/ {
    plan = substr($1, 4) + 0
    if (plan == 0) { count++; if (is_listed($0)) { listed++; plan = 1 } else { failure("skipped as a whole: " $0); plan = 1 } }
    next
}
/^Bail out!/ { failure($0); next }
/^#/ && after > 0 { after--; print "      " $0 > "/dev/stderr" }
END {
    if (plan < 0) failure("no plan: it did not come to its end (status " status ")")
    else if (plan != count) failure("planned " plan " tests, saw " count)
    else if (status != 0 && !failed) failure("all tests passed, but its status is " status)
    print passed + 0, failed + 0, listed + 0
}
