#!/bin/bash
# SPDX-License-Identifier: MIT
# graft run --trace: what the guest does, by kind, on both engines in software; the bound on its size.
# timeout: 120
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
graft=build/release/host/bin/graft
trace=$tap_temporary/trace

run() { timeout 60 "$graft" run --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 --on-reset end "$@" >"$tap_temporary/log" 2>"$tap_temporary/err" </dev/null; }

kinds() { awk '!/^the trace is full$/ { print $2 }' "$trace" | sort -u | paste -sd' '; }

for engine in interpreter recompiler; do
    run --engine "$engine" --cpus 2 --trace "exits,interrupts,msr:$trace" --append "test=platform cpus=2"
    is $? 1 "$engine: the guest runs in its sandbox"
    is "$(kinds)" "exits interrupts msr" "the kinds that were asked for, and no others"
    has "$(head -n 50 "$trace")" '^0 exits [0-9a-f]+: .* out 3f8\.1 67$' "a port: CPU, place, device, value"
    has "$(cat "$trace")" '^0 exits [0-9a-f]+: local APIC write fee00300\.4 c4608$' "a device's memory"
    has "$(cat "$trace")" '^1 interrupts [0-9a-f]+: vector 2 from NMI$' "an NMI"
    has "$(cat "$trace")" '^0 interrupts [0-9a-f]+: vector [0-9]+ from local APIC$' "an interrupt"
    has "$(cat "$trace")" '^0 msr [0-9a-f]+: read 1b [0-9a-f]+$' "an MSR"
    run --engine "$engine" --trace=faults --append "test=wide"
    has "$(cat "$tap_temporary/err")" '^0 faults [0-9a-f]+: vector 13 error 0 cr2 [0-9a-f]+$' "an exception, on standard error"
done
run --engine recompiler --trace "blocks:$trace" --append "test=wide"
has "$(cat "$trace")" '^0 blocks [0-9a-f]+: at [0-9a-f]+, [0-9]+ bytes, mode [0-9a-f]+$' "a block"
has "$(cat "$trace")" '^0 blocks   [0-9a-f]+ iretq?$' "and its instructions"
run --trace "exits:$tap_temporary/none/trace" --append test=ports
is "$? $(grep -c 'cannot write the trace to .*/none/trace: No such file' "$tap_temporary/err")" "1 1" "a file that cannot be made is refused"
run --trace "exits,some" --append test=ports
is "$? $(grep -c "wants exits, interrupts, faults, msr, blocks or all, with commas between, not 'exits,some'" "$tap_temporary/err")" "2 1" "so is an unknown kind"
tap_end
