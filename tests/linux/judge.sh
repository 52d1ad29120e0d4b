# SPDX-License-Identifier: MIT
# The judge guest (tests/guests/judge.c) in Bochs and on Graft's engines, for scripts that have sourced tests/tap.sh.

make -s MODE=release build/release/host/bin/graft build/release/guests/judge build/release/host/bin/unit-cpu-partition >&2 || exit 1

# judge_bochs OPTIONS SECONDS OUT: Bochs's lines
judge_bochs()
{
    local tree=$tap_temporary/tree pid end
    rm -rf "$tree"
    mkdir -p "$tree/boot/grub"
    cp build/release/guests/judge "$tree/boot/judge"
    printf 'set timeout=0\nmenuentry "judge" {\n multiboot /boot/judge %s\n}\n' "$1" >"$tree/boot/grub/grub.cfg"
    grub-mkrescue -o "$tap_temporary/iso" "$tree" >"$tap_temporary/grub" 2>&1 || return 1
    cat >"$tap_temporary/bochsrc" <<END
cpu: model=corei7_haswell_4770, count=1, ips=100000000, reset_on_triple_fault=0
megs: 64
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
display_library: rfb, options="timeout=0"
ata0-master: type=cdrom, path="$tap_temporary/iso", status=inserted
boot: cdrom
port_e9_hack: enabled=1
clock: sync=none
sound: driver=dummy, waveoutdrv=dummy
speaker: enabled=0
log: $tap_temporary/bochs
panic: action=fatal, CPU0=report
error: action=ignore
info: action=ignore
END
    # Its debugger stops at the start: go on. It does not end by itself.
    timeout -k 5 "$2" bochs -q -f "$tap_temporary/bochsrc" >"$tap_temporary/raw" 2>&1 < <(yes c) &
    pid=$!
    : >>"$tap_temporary/raw"
    end=$((SECONDS + $2))
    while [ $SECONDS -lt $end ] && kill -0 $pid 2>/dev/null && ! grep -aq '^end' "$tap_temporary/raw"; do
        sleep 1
    done
    kill $pid 2>/dev/null
    wait $pid 2>/dev/null
    grep -aE '^[0-9a-f]+ (v86|user|sup) |^end' "$tap_temporary/raw" >"$3"
}

# judge_graft ENGINE OPTIONS SECONDS OUT
judge_graft()
{
    timeout -k 5 "$3" build/release/host/bin/graft run --engine "$1" --kernel build/release/guests/judge --memory 64M \
        --debug-exit 0xf4 --append "$2" 2>"$tap_temporary/err" | tr -d '\r' >"$4"
}

# judge SEED COUNT SECONDS: all three; the lines must be the same, and as many as were asked for
judge()
{
    local options="seed=$1 count=$2" engine wrong
    judge_bochs "$options" "$3" "$tap_temporary/bochs.lines"
    is "$(wc -l <"$tap_temporary/bochs.lines")" $(($2 + 1)) "Bochs: $2 instructions, seed $1"
    for engine in interpreter recompiler; do
        judge_graft $engine "$options" "$3" "$tap_temporary/$engine.lines"
        wrong=$(diff "$tap_temporary/bochs.lines" "$tap_temporary/$engine.lines" | grep -c '^[<>]')
        is "$wrong" 0 "$engine: lines that differ from Bochs's, seed $1"
        [ "$wrong" = 0 ] || diff "$tap_temporary/bochs.lines" "$tap_temporary/$engine.lines" | head -n 20 | sed 's/^/# /'
    done
}
