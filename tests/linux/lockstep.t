#!/bin/bash
# SPDX-License-Identifier: MIT
# The recompiler, block by block against the interpreter (--lockstep): the test kernel's guests, and Debian's kernel for a while.
# The whole of it: tests/linux/lockstep.soak. SECONDS_BOOT: how long here. SEEDS: of the guest with random code.
# timeout: 300
. tests/tap.sh
. tests/linux/recompiler.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
graft=build/release/host/bin/graft
log=$tap_temporary/log

needs_recompiler "$graft" build/guest/bzImage lockstep

for test in ports memory events wide; do
    "$graft" run --engine recompiler --lockstep --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 --append "test=$test" \
        >/dev/null 2>"$log" </dev/null
    is $? 1 "test=$test: no block differs, and the guest is content"
    grep lockstep: "$log" | sed 's/^/# /'
done

# Random code changes tables in use without a flush; a difference by that is no difference, but should be rare.
for seed in ${SEEDS:-1 2 3 4 5}; do
    "$graft" run --engine recompiler --lockstep --stats --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 --on-reset end \
        --append "test=random seed=$seed seconds=4" >/dev/null 2>"$log" </dev/null
    is $? 1 "random code, seed $seed: no block differs, and the guest reaches its end"
    grep -A 20 lockstep: "$log" | sed 's/^/# /'
    read -r compared stale < <(sed -n 's/.*lockstep compared \([0-9]*\) blocks; \([0-9]*\) differed.*/\1 \2/p' "$log")
    [ "${compared:-0}" -gt 1000 ] && [ $((stale * 100)) -lt "$compared" ]
    report $? "seed $seed: ${compared:-0} blocks were compared; ${stale:-?} differed by translations that were not flushed"
done

"$graft" run --engine recompiler --lockstep --slow-clock 200 --stats --kernel build/guest/bzImage --initrd build/guest/initrd --memory 512M \
    --append "console=ttyS0 quiet" --timeout "${SECONDS_BOOT:-25}" >/dev/null 2>"$log" </dev/null
status=$?
grep -q lockstep: "$log"
[ $? = 1 ] && [ "$status" = 124 ]
report $? "Debian's kernel: no block differs in ${SECONDS_BOOT:-25} seconds"
[ "$status" = 124 ] || sed 's/^/# /' "$log" | head -n 40
compared=$(sed -n 's/.*lockstep compared \([0-9]*\) blocks.*/\1/p' "$log")
[ "${compared:-0}" -gt 100000 ]
report $? "at least 100,000 blocks were compared (${compared:-0})"
stale=$(sed -n 's/.*blocks; \([0-9]*\) differed.*/\1/p' "$log")
is "$stale" 0 "Linux flushes what it changes"
tap_end
