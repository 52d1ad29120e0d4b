#!/bin/bash
# SPDX-License-Identifier: MIT
# Several VMs: consoles told apart, and one VM process that dies by an injected fault while another one computes.
# timeout: 600
. tests/tap.sh
. tests/qemu.sh

make -s -j"$(nproc)" MODE=release all >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2

# boot SECONDS [STEPS...]: two VMs with the settings in the environment; the console is in $log
boot()
{
    local seconds=$1 image=$tap_temporary/image
    shift
    log=$tap_temporary/log
    vms=2 memory_mib=128 words="console=ttyS0 quiet" tools/image.sh dir "$image"
    "$runner" --timeout "$seconds" --log "$log" --errors "$log.err" "$@" -- "${qemu_machine[@]}" -m 1G -smp 3 \
        -kernel build/release/graft.elf32 -append pool=40 -initrd "$(sed "s|^|$image/|" "$image/modules" | paste -sd,)"
}

passes "two consoles, each its own" boot 90 --expect 'This is vm1' --expect '/ #' --send 'echo $((6*7))x$(hostname)\r' --expect '42xvm1' \
    --send '\x012' --expect 'This is vm2' --expect '/ #' --send 'echo $((7*7))x$(hostname)\r' --expect '49xvm2' --send '\x011' --expect '42xvm1' \
    --send '\x010' --expect '[init] vm2 started'

sum=$(seq 1 400000 | md5sum | cut -d' ' -f1)
for fault in write code scribble; do
    export attributes2="fault=\"$fault\" fault-after=\"12000\""
    passes "vm2 dies by '$fault' and comes back; vm1's checksum is right" boot 150 --fail 'vm1 faulted' --fail 'vm1 exited' \
        --expect 'This is vm1' --expect '/ #' --send 'seq 1 400000 | md5sum; echo en""d\r' --expect "$sum" --expect end \
        --send '\x010' --expect '[vm2] the configured fault is due' --expect 'vm2 ' --expect 'vm2 will be restarted' --expect '[init] vm2 started' \
        --send '\x012' --expect 'This is vm2' --expect '/ #' --send 'echo $((7*7))x$(hostname)\r' --expect '49xvm2'
done
tap_end
