#!/bin/bash
# SPDX-License-Identifier: MIT
# The ISO image: GRUB starts it under BIOS and under UEFI, up to the guest's shell.
# timeout: 600
. tests/tap.sh
. tests/qemu.sh

boots()
{
    local name=$1
    shift
    passes "$name: the guest's shell answers" "$runner" --timeout 200 --log build/test/iso.log --errors build/test/iso.err \
        --expect "2 CPUs, TSC" --expect "vm1 started" --expect "/ # " --send 'echo $((6*7))x $(uname -sv)\r' --expect "42x Linux #1" \
        --send 'poweroff\r' --expect "vm1 exited" -- \
        qemu-system-x86_64 -accel tcg,thread=multi -machine q35 -cpu EPYC -smp 2 -m 1G -nodefaults -display none -serial stdio -no-reboot "$@" \
        -cdrom build/graft.iso
}

mkdir -p build/test
passes "make iso" make -s iso
boots "BIOS (SeaBIOS)"
boots "UEFI (OVMF)" -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd
tap_end
