#!/bin/bash
# SPDX-License-Identifier: MIT
# Chained translated code against the interpreter (--record, --replay): Debian's kernel from power-on to power-off. That this can fail:
# recompilers with a mistake in what lockstep never executes are found out.
# timeout: 300
. tests/tap.sh
. tests/linux/recompiler.sh
. tests/linux/replay.sh

tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest tools >&2
graft=build/release/host/bin/graft
log=$tap_temporary/log
recording=$tap_temporary/recording

needs_recompiler "$graft" build/guest/bzImage replay

cat >"$tap_temporary/first" <<END
(echo "sum: \$(seq 1 2000 | md5sum)") &
wait
echo "floats: \$(awk 'BEGIN { for (i = 1; i < 200; i++) x += 1 / (i * i); printf "%.12f\n", x }')"
poweroff -f
END
tools/guest.sh first "$tap_temporary/archive" "$tap_temporary/first"
cat build/guest/initrd "$tap_temporary/archive" >"$tap_temporary/initrd"
linux="--kernel build/guest/bzImage --initrd $tap_temporary/initrd --memory 256M"
words="console=ttyS0 quiet panic=1"

# shellcheck disable=SC2086 # options
run "$graft" $linux --append "$words" --record "$recording" --timeout 60
is $? 0 "Debian's kernel boots, works, and powers off"
has "$(tr -d '\r' <"$log.console")" '^floats: 1\.63992154' "it has done its work"
# shellcheck disable=SC2086 # options
run "$graft" $linux --append "$words" --replay "$recording"
agrees $? "the interpreter does the whole of it again, with the same registers at each interrupt and the same RAM"
interrupts=$(sed -n 's/.*replayed: .*, \([0-9]*\) interrupts,.*/\1/p' "$log")
[ "${interrupts:-0}" -ge 50 ]
report $? "at least 50 interrupts were met where they had been (${interrupts:-0})"

# mutant NAME FILE FROM TO: a recompiler with one line changed is found out by the boot's replay.
mkdir -p "$tap_temporary/mutant/build/release"
tar -c --exclude=./build --exclude=./.git . | tar -xC "$tap_temporary/mutant"
cp -a build/release/host "$tap_temporary/mutant/build/release/"
mutant()
{
    local name=$1 file=$2 from=$3 to=$4 place=$tap_temporary/mutant status=0

    grep -qF -- "$from" "$file" || { report 1 "$name: $file has the line to be changed"; return; }
    awk -v from="$from" -v to="$to" '{ at = index($0, from); if (at) $0 = substr($0, 1, at - 1) to substr($0, at + length(from)); print }' \
        "$file" >"$place/$file"
    make -s -C "$place" MODE=release build/release/host/bin/graft >"$log" 2>&1 || { report 1 "$name: it is built"; sed 's/^/# /' "$log"; return; }
    # shellcheck disable=SC2086 # options
    run "$place/build/release/host/bin/graft" $linux --append "$words" --record "$recording" --timeout 10 --on-reset end
    # shellcheck disable=SC2086 # options
    run "$graft" $linux --append "$words" --replay "$recording" || status=$?
    cp -p "$file" "$place/$file"
    touch "$place/$file"
    [ "$status" = 106 ] && grep -q 'replay: ' "$log"
    report $? "$name: found out"
    grep -a 'replay: ' "$log" | head -n 3 | sed 's/^graft: /# /'
}

mutant "views that a load of CR3 does not flush" vmm/engines/recompiler/levels.c "memory_loaded_cr3(cpu, value);" "(void)value;"
mutant "SYSCALL in translated code loses the status flags" vmm/engines/recompiler/levels.c "rflags & ~RFLAGS_RF;" "rflags & ~(RFLAGS_RF | RFLAGS_STATUS);"
tap_end
