#!/bin/bash
# SPDX-License-Identifier: MIT
# Every row of the opcode table and its judge; every form that this processor can run, with at least 1,000 random states on each engine; 200,000
# sequences of forms on each. What the processor lacks is counted in the notes.
# timeout: 400
. tests/tap.sh

programs="partition hidden engines sequences"
# shellcheck disable=SC2086
make -s MODE=release $(printf 'build/release/host/bin/unit-cpu-%s ' $programs) >&2

for program in $programs; do
    status=0
    build/release/host/bin/unit-cpu-"$program" full >"$tap_temporary/out" || status=$?
    sed -n 's/^#/# /p; s/^ok [0-9]* - /#  /p; s/^not ok/#  not ok/p' "$tap_temporary/out"
    is "$status" 0 "$program"
done
tap_end
