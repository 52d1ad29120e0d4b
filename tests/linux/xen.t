#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's Xen as a Multiboot kernel with two modules: the hypervisor at CPL 0 and Debian's kernel at CPL 3, with its own shell's work, up to the reset.
# timeout: 300
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft tools >&2
for what in kernel initrd xen; do
    tools/guest.sh $what >&2
done
graft=build/release/host/bin/graft

cat >"$tap_temporary/first" <<END
{
    echo "sum: \$(seq 1 2000 | md5sum)"
    echo "floats: \$(awk 'BEGIN { for (i = 1; i < 200; i++) x += 1 / (i * i); printf "%.12f\n", x }')"
    echo "CPUs: \$(nproc), on \$(cat /sys/hypervisor/type)"
} >/dev/kmsg
reboot -f
END
tools/guest.sh first "$tap_temporary/archive" "$tap_temporary/first"
cat build/guest/initrd "$tap_temporary/archive" >"$tap_temporary/initrd"

# xen CPUS: the first word of its command line is its name.
xen()
{
    local status=0
    timeout 120 "$graft" run --engine recompiler --memory 1G --cpus "$1" --on-reset end --timeout 100 --kernel build/guest/xen \
        --initrd build/guest/bzImage --module "$tap_temporary/initrd" --stats \
        --append "xen com1=115200,8n1 console=com1 dom0_mem=400M -- earlyprintk=xen,keep console=hvc0" \
        >"$tap_temporary/console" 2>"$tap_temporary/err" </dev/null || status=$?
    console=$(tr -d '\r' <"$tap_temporary/console")
    return $status
}

for cpus in 1 2; do
    xen $cpus
    status=$?
    if lacks_recompiler "$tap_temporary/err" "Xen"; then
        break
    fi
    is $status 102 "$cpus CPU(s): Xen starts its first domain, and resets when that wants to"
    has "$console" "Brought up $cpus CPUs" "Xen has found $cpus CPU(s)"
    has "$console" "sum: $(seq 1 2000 | md5sum | cut -d' ' -f1)" "the domain has computed right"
    has "$console" 'floats: 1\.63992154' "with floating point too"
    has "$console" "CPUs: $cpus, on xen" "and it knows where it is"
    grep -a stats: "$tap_temporary/err" | head -n 1 | sed 's/^graft: /# /'
done
tap_end
