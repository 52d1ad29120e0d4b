#!/bin/bash
# SPDX-License-Identifier: MIT
# Task switches with paging, breakpoints and single steps (tests/guests/tasks.c) on both engines in software show what they show in QEMU.
# timeout: 200
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
graft=build/release/host/bin/graft guest=build/release/guests/testguest

lines() { tr -d '\r' <"$1" | grep -a '^tasks: '; }

timeout 60 qemu-system-x86_64 -accel tcg -cpu max -m 64 -display none -nodefaults -no-reboot -serial "file:$tap_temporary/qemu" \
    -device isa-debug-exit,iobase=0xf4 -kernel "$guest" -append test=tasks </dev/null
lines "$tap_temporary/qemu" >"$tap_temporary/wanted"
is "$(wc -l <"$tap_temporary/wanted")" 8 "QEMU: eight lines"
for engine in interpreter recompiler; do
    timeout 60 "$graft" run --kernel "$guest" --memory 64M --debug-exit 0xf4 --on-reset end --engine "$engine" --append test=tasks \
        >"$tap_temporary/log" 2>"$tap_temporary/err" </dev/null
    if lacks_recompiler "$tap_temporary/err" "tasks on the recompiler"; then
        continue
    fi
    lines "$tap_temporary/log" | diff "$tap_temporary/wanted" - | sed 's/^/# /'
    lines "$tap_temporary/log" | cmp -s "$tap_temporary/wanted" -
    report $? "$engine: tasks, breakpoints and single steps as in QEMU"
done
tap_end
