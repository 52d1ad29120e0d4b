#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests that crash, hang or attack their machine (tests/guests/hostile.c), beside a Linux guest that computes a checksum meanwhile.
# timeout: 1500
. tests/tap.sh
. tests/qemu.sh

make -s -j"$(nproc)" MODE=release system build/release/guests/testguest >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2

sum=$(seq 1 100000 | md5sum | cut -d' ' -f1)

# beside SECONDS STEPS...: vm1 is Linux and computes; vm2 is as the environment says. Then the steps, with the log in front.
beside()
{
    local seconds=$1 image=$tap_temporary/image
    shift
    rm -rf "$image"
    log=$tap_temporary/log
    vms=2 memory_mib=128 words="console=ttyS0 quiet" restart=never tools/image.sh dir "$image"
    "$runner" --timeout "$seconds" --log "$log" --errors "$log.err" --fail 'vm1 faulted' --fail 'vm1 exited' \
        --expect 'This is vm1' --expect '/ #' --send 'seq 1 100000 | md5sum; echo en""d\r' --expect "$sum" --expect end \
        --send '\x010' "$@" --send '\x011' --send 'echo $((6*7))x\r' --expect '42x' \
        -- "${qemu_machine[@]}" -m 1G -smp 3 \
        -kernel build/release/graft.elf32 -append pool=40 -initrd "$(sed "s|^|$image/|" "$image/modules" | paste -sd,)"
}

# testguest TEST ATTRIBUTES
testguest()
{
    export kernel2=build/release/guests/testguest words2="test=$1" attributes2="debug-exit=\"0xf4\" on-reset=\"end\" $2"
}

testguest ports ''
passes "random values to every port: the machine goes on" beside 240 --fail 'vm2 faulted' --expect 'vm2] VM ended: debug exit' --expect 'vm2 exited with 1'
testguest memory ''
passes "random values to every unmapped address and the APICs: the machine goes on" beside 240 --fail 'vm2 faulted' \
    --expect 'vm2] VM ended: debug exit' --expect 'vm2 exited with 1'
testguest events ''
passes "interrupts that meet exceptions, and the task priority" beside 240 --fail 'vm2 faulted' --expect 'vm2] VM ended: debug exit' \
    --expect 'vm2 exited with 1'
testguest triple ''
passes "a triple fault ends in a report" beside 240 --fail 'vm2 faulted' --expect 'triple fault' --expect 'cr0 ' --expect 'vm2] VM ended: triple fault'
testguest reset ''
passes "a reset through the keyboard controller ends the machine" beside 240 --fail 'vm2 faulted' --expect 'vm2] VM ended: reset'
testguest cli 'watchdog="500"'
passes "an endless loop with interrupts off is reported" beside 240 --fail 'vm2 faulted' --expect 'interrupts off and no exit'
testguest cli 'fault="state" fault-after="3000"'
passes "a state that the processor refuses ends in a report" beside 240 --fail 'vm2 faulted' --expect 'vm2] VM ended: invalid guest state'

# Linux panics: the log says so, and the machine starts again (panic=1) or stops.
unset kernel2 words2
attributes2='on-reset="end"' words2="console=ttyS0 quiet panic=1"
export attributes2 words2
passes "a kernel panic ends in a report" beside 240 --send '\x012' --expect '/ #' --send 'echo c >/proc/sysrq-trigger\r' \
    --expect 'Kernel panic' --send '\x010' --expect "vm2] the guest's kernel has panicked" --expect 'vm2] VM ended: reset'
tap_end
