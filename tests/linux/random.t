#!/bin/bash
# SPDX-License-Identifier: MIT
# Random code in a guest, several seeds, on $ENGINE, or interpreter and recompiler: the VM process survives, neither its sandbox nor its memory notices.
# SECONDS_EACH, SEEDS: longer runs.
# timeout: 300
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
graft=build/release/host/bin/graft
each=${SECONDS_EACH:-5}
runs=1500

# resident: the largest resident size in KiB, from the statistics of the last run
resident() { sed -n 's/.*resident at most \([0-9]*\) KiB.*/\1/p' "$tap_temporary/log"; }
count() { sed -n "s/^$1 \([0-9]*\).*/\1/p" <<<"$out"; }

# The guest looks at its clock between runs, so its seconds are ours, about; a slow machine's guest does $runs in more of them.
once() # ENGINE SEED SECONDS RUNS
{
    out=$(timeout -k 5 $(($3 * 2 + 50)) "$graft" run --engine "$1" --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 \
        --on-reset end --stats --append "test=random seed=$2 seconds=$3 runs=$4" 2>"$tap_temporary/log" </dev/null | tr -d '\r'; exit "${PIPESTATUS[0]}")
    status=$?
}

for engine in ${ENGINE:-interpreter recompiler}; do
    once "$engine" 1 1 0
    first=$(resident)
    for seed in ${SEEDS:-1 2}; do
        once "$engine" "$seed" "$each" $runs
        is "$status" 1 "$engine, seed $seed: the guest reaches its end"
        [ "$status" = 1 ] || sed 's/^/# /' "$tap_temporary/log" | tail -n 5
        last=$(resident)
        # The guest's RAM may come in (64 MiB: a string instruction of its supervisor goes far), and the recompiler's code cache
        # fills, seen at two addresses; nothing else may grow.
        slack=$((65536 + 2048))
        [ "$engine" = recompiler ] && slack=$((slack + 2 * 65536))
        [ $((${last:-999999} - ${first:-0})) -lt $slack ]
        report $? "$engine, seed $seed: resident ${first:-?} KiB after a second, ${last:-?} KiB after $each"
        missing=0
        for figure in runs_64 runs_32 runs_16 runs_supervisor one_byte two_byte map_0f38 map_0f3a vex x87 string locked branch bytes; do
            [ "$(count "figure $figure")" ] && [ "$(count "figure $figure")" -ge 100 ] || { echo "# few: $figure"; missing=1; }
        done
        for vector in 0 1 3 6 12 13 14 16 64 128; do
            [ "$(count "vector $vector")" ] || { echo "# never: vector $vector"; missing=1; }
        done
        report $missing "$engine, seed $seed: every kind of instruction and exception came up"
        grep -E '^figure|^vector' <<<"$out" | sed 's/^figure //' | paste -sd' ' | sed 's/^/# random /'
    done
done
tap_end
