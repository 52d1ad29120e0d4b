#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's cloud kernel, full kernel, kernel for i386, and systemd: one boot of each on $ENGINE (unless told: on the recompiler, if it is in
# this build, and the kernel for i386 on the interpreter).
# timeout: 1800
. tests/tap.sh
. tests/linux/kernels.sh

engine=${ENGINE:-$(engines | head -n 1)}
if [ "$engine" != interpreter ]; then
    for kind in cloud-amd64 amd64 686-pae debian; do
        fetch $kind
        check_boot "$engine" $kind 2
    done
fi
# What takes the interpreter minutes is left to kernels.soak: decompression, and the kernel's tests of its ciphers. guests.t has the cloud kernel.
if [ "${ENGINE:-interpreter}" = interpreter ]; then
    fetch 686-pae-vmlinux
    check_boot interpreter 686-pae-vmlinux 2 cryptomgr.notests
fi
tap_end
