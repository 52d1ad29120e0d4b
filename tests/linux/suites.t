#!/bin/bash
# SPDX-License-Identifier: MIT
# What public hypervisor test kernels look at (tests/guests/platform.c, wide.c, views.c), on both engines in software; options for such kernels.
# timeout: 120
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
graft=build/release/host/bin/graft
log=$tap_temporary/log

run() { timeout 60 "$graft" run --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 --on-reset end "$@" >"$log" 2>"$tap_temporary/err" </dev/null; }

for engine in interpreter recompiler; do
    run --engine "$engine" --test-device --append "test=platform"
    status=$?
    if lacks_recompiler "$tap_temporary/err" "platform on the recompiler"; then
        continue
    fi
    is $status 1 "$engine: APIC, NMIs, timers, MSRs, control registers, test device"
    has "$(cat "$log")" '^guest: with the test device' "which is there"
    grep -E 'not so|figure' "$log" | sed 's/^/# /'
    run --engine "$engine" --append "test=wide"
    is $? 1 "$engine: 64-bit supervisor code at the edges, SMAP, CR8"
    grep -E 'not so|figure' "$log" | sed 's/^/# /'
    run --engine "$engine" --append "test=views"
    is $? 1 "$engine: what is known of page tables and code, and what flushes it"
    grep -E 'not so|figure' "$log" | sed 's/^/# /'
    run --engine "$engine" --cpus 2 --append "test=platform cpus=2"
    is $? 1 "$engine: with two CPUs"
    grep -E 'not so|figure' "$log" | sed 's/^/# /'
    has "$(grep -c '^figure mwaits' "$log")" "^$([ $engine = recompiler ] && echo 1 || echo 0)$" "MONITOR is the recompiler's alone"
    has "$(grep -c '^guest: with the test device' "$log")" '^0$' "without --test-device there is none"
done
tap_end
