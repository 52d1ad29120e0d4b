#!/bin/bash
# SPDX-License-Identifier: MIT
# Exact counts (make bench): release build, one emulated CPU whose TSC advances by one for each instruction.
# Prints lines 'figure NAME VALUE', then the table with the bars. usage: bench/run.sh [kernel|guest|boot|table]
set -eu
cd "$(dirname "$0")/.."
out=build/bench
runner=build/release/host/bin/qemu-run
machine=(qemu-system-x86_64 -accel tcg -icount shift=0,sleep=off -machine q35 -cpu EPYC -smp 1 -m 768 -nodefaults -display none
    -serial stdio -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4)

figures()
{
    tr -d '\r' <"$1" | sed -n 's/.*\(figure [a-z0-9_]* [0-9][0-9]*\)$/\1/p'
}

# IPC, hypercalls and exits, measured by a root task alone on the kernel.
run_kernel()
{
    "$runner" --summary --timeout 120 --log $out/kernel.log --errors $out/kernel.err -- "${machine[@]}" \
        -kernel build/release/graft.elf32 -initrd "build/release/bin/ktest bench=1" || bad=1
    figures $out/kernel.log >$out/kernel.figures
}

# Exits through the VM process and its device models and back, measured by a guest.
run_guest()
{
    kernel=build/release/guests/testguest initrd=none memory_mib=64 words=test=bench tools/image.sh dir $out/image
    "$runner" --timeout 120 --log $out/guest.log --errors $out/guest.err --expect "guest: PASS" -- "${machine[@]}" \
        -kernel build/release/graft.elf32 -initrd "$(sed "s|^|$out/image/|" $out/image/modules | paste -sd,)" || bad=1
    figures $out/guest.log >$out/guest.figures
}

# From the first guest instruction to the first process of Debian's kernel, with the guest of bench/kvm.
run_boot()
{
    bench/kvm/run.sh graft >$out/boot.table || bad=1
    sed -n 's/^boot_to_init /figure boot_to_init /p' $out/boot.table >$out/boot.figures
}

# NAME BAR NOTE: at most BAR (0: no bar).
bars="
ipc_same_1w 262 NOVA 262
ipc_same_64w 0
ipc_cross_1w 282 NOVA 282, L4Re 587
ipc_cross_8w 0
ipc_cross_64w 450 NOVA 912
hypercall_bad 0
sm_up 0
sm_down 0
delegate_obj 0
delegate_page 0
exit_cpuid_min 760 Genode's NOVA 759
exit_cpuid_full 0
exit_port 1000 KVM 2,890
exit_mmio 2000 KVM 5,100
timer_to_guest 0
boot_to_init 0
pd_kernel_bytes 0
"

table()
{
    local name bar note value verdict
    printf '\n%-20s %12s %8s  %-8s %s\n' figure count bar '' others
    while read -r name bar note; do
        [ -n "$name" ] || continue
        value=$(sed -n "s/^figure $name //p" $out/figures | head -n 1)
        verdict=''
        if [ -z "$value" ]; then
            verdict=missing
        elif [ "$bar" != 0 ]; then
            [ "$value" -le "$bar" ] && verdict=ok || verdict=above
        fi
        printf '%-20s %12s %8s  %-8s %s\n' "$name" "${value:--}" "${bar/#0/-}" "$verdict" "$note"
    done <<<"$bars"
}

bad=''
mkdir -p $out
make -s -j"$(nproc)" MODE=release all tools
what=${1:-all}
case $what in kernel | all) run_kernel ;; esac
case $what in guest | all) run_guest ;; esac
case $what in boot | all) run_boot ;; esac
cat $out/kernel.figures $out/guest.figures $out/boot.figures 2>/dev/null >$out/figures || :
cat $out/figures
table
echo
sed -n '/^## What such counts hide/,/^## Not yet/p' doc/performance.md | grep -v '^## '
[ -z "$bad" ]
