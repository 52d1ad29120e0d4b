#!/bin/bash
# SPDX-License-Identifier: MIT
# The long runs: tests/*/*.soak, which speak TAP. usage: tests/soak.sh [PROGRAM...]; ends in 'N passed, N failed'.
set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
mkdir -p build/test
passed=0 failed=0
for program in "${@:-tests/*/*.soak}"; do
    for one in $program; do
        name=${one%.soak} begin=$SECONDS status=0
        seconds=$(sed -n 's/^# *timeout: *\([0-9]*\).*/\1/p' "$one")
        tap=build/test/$(echo "$name" | tr / _).soak.tap
        timeout -k 10 "${seconds:-14400}" "$one" </dev/null >"$tap" 2>"$tap.err" || status=$?
        read -r p f _ < <(awk -v source="$name" -v status=$status -v skips=tests/skips -f tests/tap.awk "$tap" 2>"$tap.sum")
        cat "$tap.sum"
        grep -E '^# (seed|random|times|digest|pairs|figure)' "$tap" | sed 's/^#/   /'
        printf '  %-44s %6d passed %4d failed %4d s\n' "$name" "$p" "$f" $((SECONDS - begin))
        passed=$((passed + p)) failed=$((failed + f))
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
