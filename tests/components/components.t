#!/bin/bash
# SPDX-License-Identifier: MIT
# The test components on the microhypervisor in QEMU: isolation, calls, sessions, faults, restarts, quota.
# timeout: 400
. tests/tap.sh

# What each crasher does, and the exception that must stop it.
crashes='kernel-read:14 kernel-write:14 core-read:14 null-write:14 text-write:14 constant-write:14 info-write:14 data-execute:14
    port-in:13 port-out:13 halt:13 interrupts-off:13 msr-read:13 control-register:13 descriptor-table:13 divide:0 undefined:6
    far-jump:13 stack-gone:14'
hammers='1 2 3 4 5 6'

configuration()
{
    local c n
    echo '<config>'
    echo '<start name="hello" binary="test-hello" ram="1M" restart="always"/>'
    echo '<start name="flood" binary="test-hello" ram="1M" kernel="40K"/>' # too little kernel memory to start
    echo '<start name="absent" binary="test-absent"/>'
    echo '<start name="probe" binary="test-probe" ram="4M" kernel="1M" priority="30" cpu="all">'
    echo '  <route><service name="ROM" label="hello"><parent label="test-hello"/></service></route></start>'
    echo '<start name="client" binary="test-client" ram="2M" cpu="all">'
    echo '  <route><service name="adder"><child name="adder"/></service></route></start>'
    echo '<start name="adder" binary="test-adder" ram="2M" objects="200" cpu="all" priority="40" restart="on-fault">'
    echo '  <provides><service name="adder"/></provides></start>'
    echo '<start name="nest" binary="test-nest" ram="8M" kernel="2M" objects="64" priority="25" authority="children rom"/>'
    echo '<start name="line" binary="test-line" ram="1M" restart="on-fault">'
    echo '  <provides><service name="terminal"/></provides></start>'
    echo '<start name="redialer" binary="test-redialer" ram="1M">'
    echo '  <route><service name="terminal"><child name="line"/></service></route></start>'
    for n in $hammers; do
        echo "<start name=\"hammer$n\" binary=\"test-hammer\" ram=\"1M\" cpu=\"all\" restart=\"always\">"
        echo '<route><service name="adder"><child name="adder"/></service></route></start>'
    done
    for c in $crashes; do
        echo "<start name=\"crash-${c%:*}\" binary=\"test-crasher\" ram=\"1M\" kernel=\"256K\" objects=\"8\"/>"
    done
    echo '</config>'
}

logged()
{
    grep -aq -- "$1" "$dir/log" 2>/dev/null
}

finished()
{
    local c
    for c in probe client nest redialer; do
        logged "^\[init\] $c \(exited\|faulted\)" || return 1
    done
    [ "$(grep -ac '^\[init\] crash-.*\(faulted\|exited\)' "$dir/log")" = "$(echo $crashes | wc -w)" ] &&
        [ "$(grep -ac '^\[init\] hammer. faulted: exception 6' "$dir/log")" -ge 25 ] &&
        [ "$(grep -ac '^\[init\] hello exited with 7' "$dir/log")" -ge 3 ]
}

# boot MODE CPUS SECONDS: until the log says that all is done
boot()
{
    local bin=build/$1 c modules i
    modules="$bin/bin/core console=debug,$bin/bin/init,$dir/config"
    for c in hello probe client adder crasher hammer nest line redialer; do
        modules+=",$bin/bin/test-$c"
    done
    qemu-system-x86_64 -machine q35 -cpu EPYC -accel tcg -smp "$2" -m 512 -nodefaults -display none -no-reboot \
        -debugcon "file:$dir/log" -serial "file:$dir/serial" -kernel "$bin/graft.elf32" -initrd "$modules" \
        >"$dir/errors" 2>&1 &
    for i in $(seq $(($3 * 10))); do
        finished && break
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    kill $! 2>/dev/null
    wait $! 2>/dev/null
    finished
}

# The checks that components made themselves, and then what init and core say of them.
judge()
{
    local name=$1 line c planned
    while read -r line; do
        case $line in
        '['*'] ok '*) report 0 "$name, ${line%%]*}]: ${line#* - }" ;;
        '['*'] not ok '*) report 1 "$name, ${line%%]*}]: ${line#* - }" ;;
        esac
    done <"$dir/log"
    for c in probe client nest redialer; do
        planned=$(sed -n "s/^\[$c\] 1\.\.//p" "$dir/log")
        is "$(grep -ac "^\[$c\] \(not \)\?ok " "$dir/log")" "${planned:-a plan}" "$name: $c ran all its checks"
    done
    for c in $crashes; do
        logged "^\[init\] crash-${c%:*} faulted: exception ${c#*:} at"
        report $? "$name: ${c%:*} ends in exception ${c#*:}"
    done
    logged '^\[init\] adder faulted: exception 6' && logged '^\[init\] adder will be restarted in 100 ms'
    report $? "$name: the server that faulted was reported and restarted"
    logged '^\[init\] hello will be restarted in 200 ms'
    report $? "$name: the restarts of what keeps ending are held back"
    logged '^\[init\] flood cannot be started: quota used up' || logged '^\[init\] flood faulted'
    report $? "$name: a component without kernel memory is reported"
    logged '^\[init\] absent cannot be started: not found'
    report $? "$name: a binary that is not there is reported"
    ! logged 'survived'
    report $? "$name: no forbidden act had a result"
}

# scenario NAME MODE CPUS
scenario()
{
    local status=0 before=$tap_failed
    dir=$tap_temporary/$2-$3
    mkdir -p "$dir"
    make -s -j"$(nproc)" MODE="$2" test-components >&2 || { report 1 "$1: builds"; return; }
    configuration >"$dir/config"
    boot "$2" "$3" 90 || status=1
    report $status "$1: everything came to its end"
    judge "$1"
    [ "$tap_failed" = "$before" ] || tail -n 25 "$dir/serial" "$dir/log" | sed 's/^/# /'
}

scenario 'release, 1 CPU' release 1
scenario 'release, 2 CPUs' release 2
scenario 'debug, 4 CPUs' debug 4
tap_end
