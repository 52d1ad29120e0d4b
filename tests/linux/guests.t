#!/bin/bash
# SPDX-License-Identifier: MIT
# The VM process as an ordinary Linux process, with the interpreter: Debian's kernel to a shell, two CPUs, hostile guests, no rights.
# timeout: 900
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/guests/testguest >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
graft=build/release/host/bin/graft

# Nobody's rights and no devices: what a container gives.
cp build/release/guests/testguest build/guest/bzImage build/guest/initrd "$graft" "$tap_temporary"
chmod 755 "$tap_temporary" "$tap_temporary/graft"
chmod 644 "$tap_temporary/testguest" "$tap_temporary/bzImage" "$tap_temporary/initrd"
nobody() { (cd "$tap_temporary" && setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs timeout 300 ./graft run --engine interpreter "$@"); }

out=$(nobody --kernel bzImage --initrd initrd --append "console=ttyS0 quiet panic=1 rdinit=/bin/false" --on-reset end 2>&1 </dev/null)
is $? 102 "a kernel panic, as nobody: the guest resets, the machine ends"
has "$out" 'Kernel panic' "and its console says why"

test_guest() { out=$(nobody --kernel testguest --memory 64M --debug-exit 0xf4 --on-reset end --append "test=$1" 2>&1 </dev/null); }
test_guest ports
is $? 1 "random values to every port: the machine goes on"
test_guest memory
is $? 1 "random values to every unmapped address: the machine goes on"
test_guest events
is $? 1 "interrupts that meet exceptions, and the task priority"
test_guest triple
is $? 104 "a triple fault ends in a report"
has "$out" 'triple fault' "which names it"

run() { ./run --host linux --engine interpreter --timeout 300 "$@" 2>"$tap_temporary/err"; }
out=$(run --exec 'uname -a; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; seq 1 2000 | md5sum; exit 9')
is $? 9 "a command's status"
has "$out" '^Linux vm1 6\.1\.0-[0-9]+-cloud-amd64 .* Debian 6\.1\.' "the kernel is Debian's"
has "$out" "^$(seq 1 2000 | md5sum)" "a checksum is right"
out=$(run --cpus 2 --exec 'nproc; for i in 1 2; do seq 1 2000 | md5sum & done; wait; dmesg | grep -Eic "stall|lockup|BUG:"')
want=$(seq 1 2000 | md5sum)
is "$out" "$(printf '%s\n' 2 "$want" "$want" 0)" "two CPUs compute right, and the log has no complaint"
sed 's/^/# /' "$tap_temporary/err" | tail -n 8
tap_end
