#!/bin/bash
# SPDX-License-Identifier: MIT
# Whole machines with two CPUs under the address and undefined-behaviour sanitizers and under the thread sanitizer, on both engines in software. What the
# recompiler generates is not instrumented; what C does around it is. LINUX=1: Debian's cloud kernel as well.
# timeout: 400
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/guests/testguest >&2
err=$tap_temporary/err

# The sanitizers' own work at the end needs calls that the sandbox forbids.
machine() # MODE ENGINE OPTIONS...
{
    local mode=$1 engine=$2
    shift 2
    timeout 200 "build/$mode/host/bin/graft" run --no-sandbox --engine "$engine" --cpus 2 "$@" >"$tap_temporary/log" 2>"$err" </dev/null
}

for mode in asan tsan; do
    make -s -j"$(nproc)" MODE=$mode "build/$mode/host/bin/graft" >&2
    for engine in interpreter recompiler; do
        # The thread sanitizer's own functions use vector registers, in which the recompiler has the guest's.
        for test in "platform vectors=0" "litmus percent=5 parallel=0"; do
            machine $mode $engine --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 --on-reset end --append "test=$test cpus=2"
            status=$?
            if lacks_recompiler "$err" "$mode, $engine: $test"; then
                continue
            fi
            is "$status $(grep -aEc 'Sanitizer|runtime error' "$err")" "1 0" "$mode, $engine: $test"
            grep -aE 'Sanitizer|runtime error|^ *#[0-5]' "$err" | head -n 20 | sed 's/^/# /'
        done
        [ "${LINUX:-0}" = 1 ] || continue
        machine $mode $engine --kernel build/guest/bzImage --initrd build/guest/initrd --exec 'exit 7'
        is "$? $(grep -aEc 'Sanitizer|runtime error' "$err")" "7 0" "$mode, $engine: Debian's cloud kernel"
    done
done
tap_end
