#!/bin/bash
# SPDX-License-Identifier: MIT
# A machine that starts from a ROM (graft run --bios), on the engines in software.
# timeout: 300
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft >&2
graft=build/release/host/bin/graft
work=$tap_temporary

gcc -m32 -c -o "$work/rom.o" tests/linux/rom.S &&
    ld -m elf_i386 -Ttext 0 --oformat binary -o "$work/half" "$work/rom.o" 2>"$work/ld" || { cat "$work/ld"; exit 1; }
head -c 65536 /dev/zero >"$work/rom"
cat "$work/half" >>"$work/rom"

run() # FILE, OPTIONS
{
    timeout 20 "$graft" run --bios "$@" </dev/null 2>"$work/log" >&2
    status=$?
}

for engine in interpreter recompiler; do
    run "$work/rom" --engine $engine --debug-exit 0x501 --verbose
    is "$status" 15 "$engine: the ROM's own verdict"
    is "$(grep -o 'post: ..' "$work/log" | tr '\n' ' ')" "post: 10 post: 11 post: 20 post: 21 post: 22 post: 30 " \
        "$engine: its self test codes, in their order"
done
run "$work/half" --engine interpreter --debug-exit 0x501 --post-port 0x190 --verbose
is "$status" 15 "a ROM of 64 KiB"
is "$(grep -c post: "$work/log")" 0 "codes of another port than the one asked for are not shown"
# A real one: without a disk it ends where it would boot. The machine then waits.
for engine in interpreter recompiler; do
    for rom in bios.bin bios-256k.bin; do
        run "/usr/share/seabios/$rom" --engine $engine --memory 64M --verbose --timeout 3
        has "$(cat "$work/log")" 'debug port: No bootable device' "$engine: SeaBIOS ($rom) finds nothing to boot"
    done
done
for size in 61440 65537 16781312; do
    head -c $size /dev/zero >"$work/wrong"
    run "$work/wrong"
    is "$status $(grep -c "64 KiB to 16 MiB in multiples of 4 KiB, not $size bytes" "$work/log")" "1 1" \
        "a ROM of $size bytes is refused, and why"
done
tap_end
