#!/bin/bash
# SPDX-License-Identifier: MIT
# Chained translated code against the interpreter (--record, --replay): the test kernel's guests; and logs that are
# wrong. replay-boot.t: Debian's kernel.
# timeout: 120
. tests/tap.sh
. tests/linux/recompiler.sh
. tests/linux/replay.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest tools >&2
graft=build/release/host/bin/graft
log=$tap_temporary/log
recording=$tap_temporary/recording

needs_recompiler "$graft" build/release/guests/testguest replay

guest() { run "$graft" --kernel build/release/guests/testguest --memory 64M --debug-exit 0xf4 "$@"; }

for test in ports memory events; do
    guest --record "$recording" --append "test=$test"
    is $? 1 "test=$test is recorded, and content"
    guest --replay "$recording" --append "test=$test"
    agrees $? "test=$test: the interpreter does the same"
done

# differs STATUS PATTERN NAME
differs()
{
    is "$1" 106 "$3"
    has "$(cat "$log")" "$2" "$3: and why"
}

guest --record "$recording" --append test=events
head -c 100000 "$recording" >"$recording.short"
guest --replay "$recording.short" --append test=events
differs $? 'replay: the log (ends|makes no sense) here' "a log that was cut off"
{ head -c 20000 "$recording"; printf 'x%.0s' {1..4000}; tail -c +24001 "$recording"; } >"$recording.wrong"
guest --replay "$recording.wrong" --append test=events
differs $? 'replay: ' "a log that was changed"
guest --replay build/release/guests/testguest --append test=events
differs $? 'replay: the log makes no sense here' "a file that is none"
guest --replay "$recording" --append test=memory
differs $? 'kernel, initrd and options have to be those' "another command line"
run "$graft" --kernel build/release/guests/testguest --memory 128M --debug-exit 0xf4 --replay "$recording" --append test=events
differs $? 'as much memory' "another size of memory"
guest --record /dev/full --append test=events
has "$(cat "$log")" 'the recording cannot be written \(No space left on device\): the machine ends; make room' "a full disk ends the machine"

tap_end
