#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's kernel in a VM process: ./run as a user calls it.
# timeout: 600
. tests/tap.sh

run() { timeout 150 ./run --timeout 120 "$@" 2>"$tap_temporary/err"; }

out=$(run --exec 'uname -a; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; exit 7'); status=$?
is $status 7 "a command's status"
has "$out" '^Linux vm1 6\.1\.0-[0-9]+-cloud-amd64 .* Debian 6\.1\.' "the kernel is Debian's"

run --exec 'exit 255' >/dev/null
is $? 255 "a command's status 255"

out=$(run --exec 'seq 1 20000' | cksum)
is "$out" "$(seq 1 20000 | cksum)" "a hundred kilobytes of output arrive whole"

for cpus in 2 4; do
    out=$(run --cpus $cpus --exec 'nproc; for i in 1 2 3 4; do (seq 1 30000 | md5sum) & done; wait; dmesg | grep -Eic "stall|lockup|unstable|BUG:"')
    want=$(seq 1 30000 | md5sum)
    is "$out" "$(printf '%s\n' $cpus "$want" "$want" "$want" "$want" 0)" "$cpus CPUs compute right, and the log has no complaint"
    [ "$out" ] || sed 's/^/# /' "$tap_temporary/err" | tail -n 30
done

out=$(run --memory 5G --exec 'awk "/MemTotal/ { print int(\$2 / 1000 / 1000) }" /proc/meminfo; dd if=/dev/zero bs=1M count=3500 2>/dev/null | md5sum')
has "$out" '^[45]$' "more than 4 GiB of memory"

out=$(run --memory 96M --append 'graft.test="1 & <2>"' --exec 'awk "/MemTotal/ { print int(\$2 / 1024 / 96) }" /proc/meminfo; cat /proc/cmdline')
has "$out" 'graft\.test="1 & <2>"$' "--append, in 96 MiB"

out=$(run --exec 'i=0; while [ $i -lt 3 ]; do date +%s; sleep 1; i=$((i + 1)); done')
is "$(echo "$out" | awk 'NR > 1 { sum += $1 - last } { last = $1 } END { print sum }')" 2 "time passes in the guest"
now=$(date +%s)
has "$(echo "$out" | awk -v now="$now" '{ d = now - $1; print (d < 100 && d > -100) ? "near" : "far" }')" near "the guest's clock has the time of day"

run --exec 'poweroff; sleep 50' >/dev/null
is $? 125 "a guest that powers off before its command's end"
has "$(cat "$tap_temporary/err")" '\[init\] vm1 exited with 0' "init says that the VM has ended"

# By hand: the shell runs what is typed, poweroff ends the run.
talk 1 '^/ #' 'echo $((6*7))x\n' 1 '^42x' 'poweroff\n' -- run
is $? 0 "the interactive run ends with the machine"
has "$said" '^42x' "the shell ran what was typed"
has "$said" '^\[init\] vm1 exited with 0' "init says that the VM has ended"

# A reboot starts the guest again in the same VM process.
talk 1 '^/ #' 'reboot\n' 2 '^/ #' 'poweroff\n' -- run
is "$(echo "$said" | grep -c 'This is vm1')" 2 "reboot starts the guest again"
tap_end
