#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's stress-ng in a guest with 4 vCPUs on 2 CPUs: timers, context switches, memory, page faults, for two minutes.
# timeout: 420
. tests/tap.sh

tools/guest.sh stress >&2
out=$(./run --cpus 4 --memory 512M --initrd build/guest/initrd-stress --timeout 400 --exec '
    stress-ng --seed 1 --timer 2 --timer-ops 1000000 --switch 2 --switch-ops 1000000 --vm 2 --vm-bytes 32M --vm-ops 1000000 \
        --fault 2 --fault-ops 1000000 --timeout 120 2>&1
    echo "stress-ng exits with $?"
    dmesg | grep -Ei "rcu.*(stall|self-detected)|soft lockup|hung task|unstable|BUG:|WARNING: CPU" | sed "s/^/COMPLAINT /"
    cat /sys/devices/system/clocksource/clocksource0/current_clocksource' </dev/null 2>"$tap_temporary/err")
is $? 0 "the run comes to its end"
has "$out" 'successful run completed in 1[2-9][0-9]\.' "stress-ng runs for its two minutes"
has "$out" '^stress-ng exits with 0' "its exit status is 0"
is "$(echo "$out" | grep -c COMPLAINT)" 0 "no stall, lockup or unstable clock in the guest's log"
has "$out" '^tsc$' "the guest still uses its TSC"
sed 's/^/# /' "$tap_temporary/err" | tail -n 30
echo "$out" | sed 's/^/# /' | tail -n 12
tap_end
