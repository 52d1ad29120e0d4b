# SPDX-License-Identifier: MIT
# Boot a root task on Graft's kernel in Bochs, for test scripts that have sourced tests/tap.sh.

make -s -j"$(nproc)" tools >&2 || exit 1

# bochs_iso OUT MODE ROOT-TASK OPTIONS: an image that GRUB boots
bochs_iso()
{
    local tree=$tap_temporary/tree
    rm -rf "$tree"
    mkdir -p "$tree/boot/grub"
    cp "build/$2/graft.elf32" "$tree/boot/graft"
    cp "$3" "$tree/boot/root"
    printf 'set timeout=0\nmenuentry "Graft" {\n multiboot2 /boot/graft\n module2 /boot/root root %s\n}\n' "$4" >"$tree/boot/grub/grub.cfg"
    grub-mkrescue -o "$1" "$tree" >"$tap_temporary/grub" 2>&1
}

# bochs_run MODEL ISO SECONDS LOG: until the line 'N passed, ...' or a panic comes; status 0 if none failed
bochs_run()
{
    local model=$1 iso=$2 seconds=$3 log=$4 pid end
    : >"$log"
    cat >"$tap_temporary/bochsrc" <<END
cpu: model=$model, count=1, ips=100000000, reset_on_triple_fault=0
megs: 512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
display_library: rfb, options="timeout=0"
ata0-master: type=cdrom, path="$iso", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="$log"
clock: sync=none
sound: driver=dummy, waveoutdrv=dummy
speaker: enabled=0
log: $tap_temporary/bochs
panic: action=fatal, CPU0=report
error: action=report
END
    # It has its debugger built in, which stops at the start, and at a guest's triple fault: go on.
    timeout -k 5 "$seconds" bochs -q -f "$tap_temporary/bochsrc" >"$tap_temporary/bochs.out" 2>&1 < <(yes c) &
    pid=$!
    end=$((SECONDS + seconds))
    while [ $SECONDS -lt $end ] && kill -0 $pid 2>/dev/null; do
        grep -aqE '^[0-9]+ passed,|^panic: ' "$log" && break
        sleep 1
    done
    kill $pid 2>/dev/null
    wait $pid 2>/dev/null
    grep -aqE '^[1-9][0-9]* passed, 0 failed' "$log"
}
