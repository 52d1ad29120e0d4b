#!/bin/bash
# SPDX-License-Identifier: MIT
# What several virtual CPUs see of each other's memory accesses (tests/guests/litmus.c), on both engines in software.
# PERCENT: of the usual rounds, for longer runs.
# timeout: 240
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
percent=${PERCENT:-50}
# What is allowed can only be seen where two virtual CPUs run at the same time.
parallel=1
[ "$(nproc)" -ge 2 ] || parallel=0

litmus() # ENGINE CPUS PERCENT PARALLEL
{
    timeout $((60 + percent * 2)) build/release/host/bin/graft run --engine "$1" --cpus "$2" --kernel build/release/guests/testguest --memory 64M \
        --debug-exit 0xf4 --on-reset end --append "test=litmus cpus=$2 percent=$3 parallel=$4" >"$tap_temporary/log" 2>"$tap_temporary/err" </dev/null
    local status=$?
    if lacks_recompiler "$tap_temporary/err" "$1, $2 CPUs"; then
        return
    fi
    is $status 1 "$1, $2 CPUs: memory model, locked instructions, modified code, TLB shootdown"
    [ $status = 1 ] || tail -n 5 "$tap_temporary/err" | sed 's/^/# /'
    grep -aE 'not so|figure|vector' "$tap_temporary/log" | sed "s/^/# $1, $2 CPUs: /"
}

litmus recompiler 2 "$percent" $parallel
litmus recompiler 4 $((percent / 25)) $parallel
litmus interpreter 2 $((percent / 10)) 0
litmus interpreter 4 $((percent / 100)) 0
tap_end
