#!/bin/bash
# SPDX-License-Identifier: MIT
# The KVM engine on Linux's own KVM for AMD, which runs in QEMU on this machine's processor or on QEMU's: Debian on one and two CPUs.
# timeout: 600
. tests/tap.sh

make -s -j"$(nproc)" MODE=release tools build/release/host/bin/{graft,unit-linux-kvm} build/release/guests/testguest >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
bin=build/release/host/bin
work=$tap_temporary

tools/guest.sh first "$work/guest.cpio" tests/linux/kvm-guest
cat build/guest/initrd "$work/guest.cpio" >"$work/initrd"
tools/guest.sh kvm "$work/host.cpio"
{
    echo "dir /graft 755
file /graft/first 644 tests/linux/kvm-host
file /vm/kernel 644 build/guest/bzImage
file /vm/initrd 644 $work/initrd
file /vm/testguest 644 build/release/guests/testguest
file /vm/graft 755 $bin/graft
file /vm/unit-linux-kvm 755 $bin/unit-linux-kvm"
    ldd $bin/graft | sed -n 's/.*=> \(\/[^ ]*libseccomp[^ ]*\) .*/\1/p' | while read -r file; do
        echo "file $file 755 $(readlink -f "$file")"
    done
} | $bin/mkcpio >>"$work/host.cpio"

# Without an invariant TSC Linux needs to be told that several CPUs' agree.
$bin/qemu-run --timeout 500 --log "$work/log" --errors "$work/errors" --expect "host done" -- \
    qemu-system-x86_64 -accel tcg -cpu EPYC -machine q35 -smp 2 -m 1G -nodefaults -display none -serial stdio -no-reboot \
    -kernel build/guest/bzImage -initrd "$work/host.cpio" -append "console=ttyS0 quiet tsc=reliable" >&2
is $? 0 "Linux with KVM comes to its end"
log=$(tr -d '\r' <"$work/log")
run() { printf '%s\n' "$log" | sed -n "/^host run $1\$/,/^host status $1 /p"; }

is "$(printf '%s\n' "$log" | grep -Ec '^ok [0-9]+ - ')" 17 "registers and events: all checks pass"
is "$(printf '%s\n' "$log" | grep -E '^not ok|SKIP|^host failure')" "" "none fails, none is left out"
has "$(run auto)" '1 CPUs by the kvm' "auto takes KVM"
has "$(run auto)" 'status auto 104$' "a triple fault ends in a report"
has "$(run events)" 'status events 1$' "interrupts that meet exceptions, and the task priority"
has "$(run memory)" 'status memory 1$' "random values to every unmapped address: the machine goes on"
for n in 1 2; do
    out=$(run linux$n)
    has "$out" "status linux$n 0\$" "Debian's kernel, $n virtual CPUs: to a shell and off again"
    has "$out" "^guest cpus $n\$" "they are there"
    has "$out" "^guest sum $(seq 1 2000 | md5sum)\$" "a checksum is right"
    has "$out" '^guest slept [23]$' "two seconds are two seconds"
    is "$(printf '%s\n' "$out" | grep '^guest complaint')" "" "the kernel does not complain"
done
tap_end
