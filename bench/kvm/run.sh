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

prepare
case ${1:-all} in
kvm) run_kvm ;;
esac
