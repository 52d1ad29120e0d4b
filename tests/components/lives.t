#!/bin/bash
# SPDX-License-Identifier: MIT
# What a component had is free again after its end: sixteen that take all they can and fault, in seven lives each, on four CPUs; in
# every life each gets the same. Core and init have room for a few lives' worth of everything only.
# timeout: 150
. tests/tap.sh
. tests/machine.sh

bin=build/release cpus=4 memory=128 gluttons=16 lives=7
make -s test-lives >&2 || exit 1

{
    echo '<config>'
    echo '<start name="server" binary="test-server" ram="1M" kernel="1M"><provides><service name="echo"/></provides></start>'
    for i in $(seq $gluttons); do
        echo "<start name=\"glutton$i\" binary=\"test-glutton\" ram=\"4M\" kernel=\"400K\" cpu=\"all\" restart=\"on-fault\">"
        echo '<route><service name="echo"><child name="server"/></service></route></start>'
    done
    echo '</config>'
} >"$tap_temporary/config"

lived() { [ "$(count '^\[init\] glutton.* faulted: exception 6')" -ge $((gluttons * lives)) ]; }
boot test-server test-glutton
await 100 "$((gluttons * lives)) lives" lived
for i in $(seq $gluttons); do
    has "$(grep "^\[glutton$i\] took" "$tap_temporary/log" | sort -u)" ' took 12 sessions, 8 threads, [1-9][0-9][0-9]+ pages, [1-9][0-9]+ semaphores' \
        "glutton$i took something"
    # Semaphores come out of the frames that tables and nodes have left over: within one frame's worth.
    is "$(grep "^\[glutton$i\] took" "$tap_temporary/log" | awk '{ n = $(NF - 1); $(NF - 1) = ""; kind[$0]; if (!low || n < low) low = n; if (n > high) high = n }
        END { print length(kind), (high - low <= 64 ? "near" : low " to " high) }')" "1 near" "glutton$i: the same in every life"
done
! logged 'cannot be\|could not'
report $? 'nobody was refused his start'
says '^\[init\] glutton1 will be restarted in 6400 ms' 'the back-off doubles'
kill -0 "$machine"
report $? 'the machine still runs'
[ $tap_failed = 0 ] || tail -n 40 "$tap_temporary/log" >&2
stop
tap_end
