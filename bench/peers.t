#!/bin/bash
# SPDX-License-Identifier: MIT
# The comparison with peers: every row's result natively and in the guest, and its evaluation over figures that are made up.
# timeout: 240
. tests/tap.sh

passes "the benchmark programs build" make -s MODE=release peers tools
passes "Debian's kernel is there" tools/guest.sh kernel
out=$(SCALE=1 build/release/bench/peers all)
is $? 0 "every row has the right result natively"
rows=$(echo "$out" | grep -c '^row ')
[ "$rows" -ge 30 ]
report $? "$rows rows, at least 30"

export WORK=build/test/bench-peers
mkdir -p $WORK
out=$(PEERS="tcg native" ROUNDS=1 SCALE=1 bench/peers.sh 2>&1)
is $? 0 "every row has the right result in a guest with one CPU and with two"
has "$out" '^figure geomean_compute_tcg_vs_native [0-9]' "geometric mean of TCG against native"
is "$(awk '$3 == "tcg" && $2 == 1' $WORK/results | grep -vc ' boot')" "$rows" "the guest did all rows"

# usage: judge GRAFT: made-up results of three rounds in which a row takes GRAFT ns on Graft, 2000 in TCG, 400 natively
judge()
{
    local round name
    for round in 1 2 3; do
        for name in "1 fib integer" "1 fault system" "1 pipe system" "1 exec system" "1 fork system" "1 getppid system" "1 boot boot" \
            "1 par_integer thread" "1 par_memory thread" "2 par_integer thread" "2 par_memory thread" "2 pipe system" "2 fork system"; do
            set -- "$1" $name
            echo "$round $2 graft $3 $(($2 == 2 ? $1 / 2 : $1)) $4"
            echo "$round $2 tcg $3 $((2000 + 100 * round)) $4"
            echo "$round $2 native $3 400 $4"
        done
    done >"$WORK/results"
    bench/peers.sh --table --strict
}
out=$(judge 200)
is $? 0 "all bars hold for what is quick"
has "$out" '^figure row_fib_vs_tcg 11.000$' "the median of the ratios of each round"
has "$out" '^fib .*0.50 \(0.50 to 0.50\) +11.00 \(10.50 to 11.50\) +5.5$' "with its spread"
has "$out" '^figure smp_speedup_par_integer 2.000$' "the speed-up by a second CPU"
out=$(judge 700)
is $? 1 "and not for what is middling"
has "$out" '^bar ok +boot_vs_tcg +3.14' "boot is judged"
has "$out" '^bar ok +geomean_compute_vs_native +1.75' "one bar holds"
has "$out" '^bar FAIL geomean_compute_vs_tcg +3.14' "another does not"
out=$(judge 3000)
has "$out" '^bar FAIL row_fib_vs_tcg, least ratio +0.70 ' "a row behind TCG is seen"
has "$out" '^bar FAIL row_par_integer, of what native gives +0.13 ' "and that it is far from native"
has "$out" '^bar ok +row_fib, of what native gives +0.13 .*known reason: returns go by' "unless for a reason that is written down"
tap_end
