#!/bin/bash
# SPDX-License-Identifier: MIT
# A component without authority attacks the kernel, core, init and the machine's resources in every way that tests/isolation/attacker.h lists, while
# another computes, with memory, threads and sessions of its own, and must come to the right end.
#   tests/isolation/attack.t [MODE [CPUS]]
# timeout: 200
. tests/tap.sh
. tests/machine.sh

mode=${1:-release} cpus=${2:-2} bin=build/${1:-release}
make -s MODE="$mode" test-isolation >&2 || exit 1

finish='selectors core attach log parent sessions memory kernel time' # these tell the victim when they are over
endless='wild1 wild2 threads faults'

{
    echo '<config>'
    echo '<start name="victim" binary="test-victim" ram="4M" kernel="1M" cpu="all" priority="40">'
    echo "  <provides><service name=\"victim\"/></provides><config attacks=\"$(echo $finish | wc -w)\"/></start>"
    for a in $finish $endless; do
        echo "<start name=\"attack-$a\" binary=\"test-attacker\" ram=\"4M\" kernel=\"768K\" cpu=\"all\" priority=\"$([ $a = time ] && echo 21 || echo 20)\" $(
            [[ $a = wild* || $a = faults ]] && echo 'restart="always"')>"
        echo '  <route><service name="victim"><child name="victim"/></service></route></start>'
    done
    echo '</config>'
} >"$tap_temporary/config"

boot test-victim test-attacker
await 120 'the victim comes to its end' logged '^\[init\] victim \(exited\|faulted\)'
says '^\[victim\] [1-9][0-9]* rounds were right' 'what it computed is right'
says '^\[init\] victim exited with 0$' 'all attacks were over before'
await 30 'the wild attackers ended and came again' eval '[ "$(count "^\[init\] attack-wild. \(faulted\|exited\)")" -ge 2 ]'
await 30 'so had those that fault in many threads' eval '[ "$(count "^\[init\] attack-faults faulted")" -ge 3 ]'
logged '^\[attack-threads\] stops every thread' && ! logged '^\[init\] attack-threads exited'
report $? 'the one that stops every thread has stopped itself'
for a in $finish; do
    says "^\[init\] attack-$a exited with 0\$" "attack-$a: all was refused"
    components_tap "attack-$a"
done
says '^\[attack-log\] \[victim\] forged' 'a forged line of the log has its author in front'
! logged '^\[\(victim\|init\)\] forged'
report $? 'and never the name that it wants'
! grep -a "^\[" "$tap_temporary/log" | LC_ALL=C grep -q $'[\001-\010\013-\037\177]'
report $? 'no control characters reach the log'
! logged 'WRONG'
report $? 'nobody saw anything of the others'
is "$(count '^Graft microhypervisor')" 1 'the machine was not started again'
kill -0 "$machine"
report $? 'and still runs'
[ $tap_failed = 0 ] || { cp "$tap_temporary/log" build/test/attack.log; tail -n 40 "$tap_temporary/log" >&2; }
stop
tap_end
