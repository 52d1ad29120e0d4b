#!/bin/bash
# SPDX-License-Identifier: MIT
# The comparison with KVM (make bench-kvm): the same guest with the same work (a) on Graft and (b) under QEMU/KVM in
# Debian Linux, both on one emulated CPU on which the TSC counts instructions.   usage: bench/kvm/run.sh [graft|kvm]
set -eu
cd "$(dirname "$0")/../.."
work=build/bench-kvm
memory=256
words="console=ttyS0 quiet iomem=relaxed"
runner=build/release/host/bin/qemu-run
machine=(qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -cpu EPYC -machine q35 -smp 1 -m 1G
    -nodefaults -display none -serial stdio -no-reboot)

prepare()
{
    mkdir -p $work
    make -s MODE=release tools
    tools/guest.sh kernel
    tools/guest.sh initrd
    tools/guest.sh first $work/first bench/kvm/work
    cat build/guest/initrd $work/first >$work/initrd
}

run_kvm()
{
    tools/guest.sh kvm $work/host.cpio
    echo "$memory 1 $words" >$work/settings
    printf 'dir /graft 755\nfile /graft/first 644 bench/kvm/host\nfile /vm/kernel 644 build/guest/bzImage
file /vm/initrd 644 %s\nfile /vm/settings 644 %s\n' $work/initrd $work/settings |
        build/release/host/bin/mkcpio >>$work/host.cpio
    echo "bench: the guest under KVM in Debian Linux (some minutes)"
    $runner --timeout 1500 --log $work/kvm.log --errors $work/kvm.err --expect "host done" -- \
        "${machine[@]}" -kernel build/guest/bzImage -initrd $work/host.cpio -append "console=ttyS0 quiet" || return 1
    tr -d '\r' <$work/kvm.log | grep -a '^mark \|^host ' >$work/kvm.marks
}

run_graft()
{
    make -s -j"$(nproc)" MODE=release system
    vms=1 memory_mib=$memory words=$words initrd=$work/initrd tools/image.sh dir $work/image
    echo "bench: the guest on Graft"
    $runner --timeout 600 --log $work/graft.log --errors $work/graft.err --expect "mark done" --send '\x010' --expect 'ticks: process' --expect 'vm1 exited' -- \
        "${machine[@]}" -kernel build/release/graft.elf32 -initrd "$(sed "s|^|$work/image/|" $work/image/modules | paste -sd,)" || return 1
    tr -d '\r' <$work/graft.log | grep -a '^mark \|ticks: process' | sed 's/.*ticks:/ticks/; s/,//g' >$work/graft.marks
}

# Both sides become lines "NAME TICKS". From the guest's own TSC: init (since the TSC's zero), and each piece of work. `zero`: when
# the guest's TSC was 0, `process`: the VM process's start, `first`: the first guest instruction, all in the machine's TSC; idle.
graft_table()
{
    awk '$1 == "mark" && !($2 in at) { at[$2] = $3 }
        $1 == "ticks" { process = $3; first = $6; zero = $9; idle = $NF }
        END {
            print "boot_to_init", at["init"] + zero - first; print "process_to_init", at["init"] + zero - process
            print "shell_loop", at["shell_loop"] - at["init"]; print "fork_loop", at["fork_loop"] - at["shell_loop"]
            print "port_loop", at["port"] - at["fork_loop"]; print "mmio_loop", at["mmio"] - at["port"]
            print "all_work", at["end"] - at["init"]; print "idle", idle
        }' $work/graft.marks
}

# The offset that KVM gives the guest's TSC is negative in 64 bits: guest = host + offset. awk has 53 bits, enough for the differences.
kvm_table()
{
    awk 'function wrapped(x) { return x > 2^63 ? x - 2^64 : x }
        $1 == "mark" && !($2 in at) { at[$2] = $3 }
        $1 == "host" && $2 == "first_entry" { for (i = 3; i <= NF; i++) if ($i ~ /^[0-9]+:$/) entry = $i + 0 }
        $1 == "host" && $2 == "offset" && match($0, /next=[0-9]+/) { offset = wrapped(substr($0, RSTART + 5, RLENGTH - 5) + 0) }
        $1 == "host" && $2 == "stat_before" { before = $7 } $1 == "host" && $2 == "stat_after" { after = $7 }
        END {
            first = at["process"] + entry - at["warm_process"]; zero = -offset
            print "boot_to_init", at["init"] + zero - first; print "process_to_init", at["init"] + zero - at["process"]
            print "shell_loop", at["shell_loop"] - at["init"]; print "fork_loop", at["fork_loop"] - at["shell_loop"]
            print "port_loop", at["port"] - at["fork_loop"]; print "mmio_loop", at["mmio"] - at["port"]
            print "all_work", at["end"] - at["init"]; print "idle", (after - before) * 10000000
        }' $work/kvm.marks
}

# The ratio that counts comes first.
table()
{
    graft_table >$work/graft.table
    kvm_table >$work/kvm.table
    paste $work/graft.table $work/kvm.table | awk '{ printf "figure %s %.3f\n", $1 == "boot_to_init" ? "boot_ratio_vs_kvm" : $1 "_ratio_vs_kvm", $4 ? $2 / $4 : 0 }' |
        grep -v '^figure idle'
    paste $work/graft.table $work/kvm.table | awk '{ printf "figure %s_graft %d\nfigure %s_kvm %d\n", $1, $2, $1, $4 }'
    echo
    echo "millions of instructions      Graft      KVM  Graft/KVM"
    paste $work/graft.table $work/kvm.table | awk '{ printf "%-24s %10.1f %10.1f %8.2f\n", $1, $2 / 1e6, $4 / 1e6, $4 ? $2 / $4 : 0 }'
}

prepare
case ${1:-all} in
kvm) run_kvm ;;
graft) run_graft && graft_table ;;
table) table ;;
all) run_graft && run_kvm && table ;;
*) echo "usage: $0 [graft|kvm|table|all]" >&2; exit 2 ;;
esac
