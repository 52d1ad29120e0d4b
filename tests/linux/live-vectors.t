#!/bin/bash
# SPDX-License-Identifier: MIT
# C functions that translated code calls leave the guest's vector and x87 registers alone (LIVE_VECTORS in vmm/module.mk): the calls in the
# program's machine code are followed from each such function. What may use the registers is named here.
# timeout: 120
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft >&2

# Where calls begin: the functions that are handed to stubs are all named rec_; behind the pointer of a walk of the guest's tables are ram()
# (vmm/vcpu_emulate.c), memory_pointer() and run_written(), of which the first and the last are not followed: another ram() is the lockstep's, and
# run_written() notes an address and no more if translated code runs. rec_write_msr() is looked at by itself below; rec_stop_all() is called
# outside of translated code. XSAVE and XRSTOR are meant, and no name of a register is in them.
cat >"$tap_temporary/follow.awk" <<'FOLLOW'
/^[0-9a-f]+ <.*>:$/ { f = substr($2, 2, length($2) - 3); known[f] = 1; next }
f == "" || !/^ *[0-9a-f]+:/ { next }
/%[xyz]?mm[0-9]|%st|\t(f[a-z0-9]+|emms|v?ldmxcsr)( |$)/ { uses[f]++ }
/\t(call|jmp) +\*/ { indirect[f]++ }
match($0, /\t(call|jmp|j[a-z]+|loop) +[0-9a-f]+ <[^>]+>/) {
    to = substr($0, RSTART, RLENGTH - 1)
    sub(/.*</, "", to)
    sub(/\+0x[0-9a-f]+$/, "", to)
    if (to != f)
        calls[f] = calls[f] " " to
}
function visit(name, way,    n, count, next_)
{
    if (name in seen || name ~ /^(rec_write_msr|rec_stop_all|rec_resume_all)$/)
        return
    if (name ~ /@plt$/) {
        print "library: " name " " way
        return
    }
    seen[name] = 1
    way = name " " way
    if (name in uses)
        print "registers: " way
    if (name in indirect && name !~ /^(walk_noted|walk_cached|walk|ram|run_written)(\.|$)/)
        print "pointer: " way
    if (name ~ /^(ram|run_written)$/)
        return
    count = split(calls[name], next_, " ")
    for (n = 1; n <= count; n++)
        visit(next_[n], way)
}
END {
    for (name in known)
        if (name ~ /^(rec_[a-z0-9_]*|ram|memory_pointer|run_written)(\..*)?$/) {
            visit(name, "")
            roots++
        }
    for (name in seen)
        count++
    if (roots < 15)
        print "only " roots + 0 " functions to begin with"
    print count + 0 " functions" >"/dev/stderr"
}
FOLLOW
objdump -d -w --no-show-raw-insn build/release/host/bin/graft >"$tap_temporary/program"
follow() { awk -f "$tap_temporary/follow.awk" "$@" 2>"$tap_temporary/count"; }
found=$(follow "$tap_temporary/program")
is "$(grep -v '^library: ' <<<"$found")" "" "no function that translated code calls uses vector registers: $(cat "$tap_temporary/count")"

# Of the C library two that are calls of the kernel, or of its page of code, and nothing else.
is "$(sed -n 's/^library: \([^ ]*\)@plt .*/\1/p' <<<"$found" | sort | paste -sd' ')" "clock_gettime sched_yield" "what these call of the C library"
library=$(ldd build/release/host/bin/graft | awk '$1 ~ /^libc\.so/ { print $3 }')
for name in clock_gettime sched_yield; do
    read -r at size < <(objdump -T "$library" | awk -v name="$name" '$NF == name { print "0x" $1, "0x" $(NF - 2); exit }')
    objdump -d --no-show-raw-insn --start-address=$((at)) --stop-address=$((at + size)) "$library" >"$tap_temporary/library"
    is "$(grep -c '\(ret\|syscall\)' "$tap_temporary/library" | sed 's/^[1-9].*/some/') $(grep -cE '%[xyz]?mm[0-9]|%st' "$tap_temporary/library")" "some 0" "$name() does not either"
done

# It sees one that does, two calls away.
sed 's/^\([0-9a-f]* <view_recall>:\)$/\1\n  1:\tcall   2 <far_away>/; $a 0000 <far_away>:\n  2:\tmovups %xmm0,(%rax)\n' "$tap_temporary/program" >"$tap_temporary/wrong"
has "$(follow "$tap_temporary/wrong")" '^registers: far_away view_recall rec_fill ' "one that did would be found"

# rec_write_msr() calls devices and the C library: all sixteen registers are saved before its first call, and loaded behind the last that may.
order=$(awk '/^[0-9a-f]+ <rec_write_msr>:$/ { on = 1; next }
    on && /^$/ { exit }
    on && /vmovdqu %ymm[0-9]+,/ { save++ }
    on && /vmovdqu .*,%ymm[0-9]+$/ { load++ }
    on && /call .*<lapic_msr_write_unlocked>/ { print save + 0, load + 0 }
    END { print save + 0, load + 0 }' "$tap_temporary/program")
is "$order" "16 0
16 16" "what writes to the local APIC saves all of them and loads them again"
tap_end
