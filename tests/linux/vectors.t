#!/bin/bash
# SPDX-License-Identifier: MIT
# AVX registers of several processes in a guest, on one virtual CPU and on two (vectors.c); and the digest of a file by the guest's busybox, whose C
# library then works with AVX2.
# ENGINE: instead of the recompiler.
# timeout: 200
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/host/bin/mkcpio build/release/host/bin/vectors-guest >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
initrd=$tap_temporary/initrd
{
    cat build/guest/initrd
    echo "file /bin/vectors 755 build/release/host/bin/vectors-guest" | build/release/host/bin/mkcpio
} >"$initrd"

for cpus in 1 2; do
    out=$(build/release/host/bin/graft run --engine "${ENGINE:-recompiler}" --cpus $cpus --kernel build/guest/bzImage --initrd "$initrd" --memory 512M \
        --timeout 90 --exec 'vectors 4 10000; md5sum /bin/busybox' 2>"$tap_temporary/log" </dev/null)
    if lacks_recompiler "$tap_temporary/log" "$cpus CPU(s)"; then
        continue
    fi
    if grep -q "no AVX2" <<<"$out"; then
        skip "$cpus CPU(s): vector registers" "this processor has no AVX2"
    else
        grep -q "vectors: right" <<<"$out"
        report $? "$cpus CPU(s): the kernel's switches and signals leave a process its vector registers"
    fi
    is "$(awk '/busybox/ { print $1 }' <<<"$out")" "$(md5sum </bin/busybox | cut -d' ' -f1)" "$cpus CPU(s): the digest of a file"
    [ -n "$out" ] || sed 's/^/# /' "$tap_temporary/log" | tail -n 20
done
tap_end
