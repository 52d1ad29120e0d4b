#!/bin/bash
# SPDX-License-Identifier: MIT
# The VM process with KVM: whole machines where there is a usable /dev/kvm, and what is said where there is none.
# timeout: 300
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft build/release/host/bin/unit-linux-machine build/release/guests/testguest >&2
graft=build/release/host/bin/graft
guest=build/release/guests/testguest

test_guest() { out=$(timeout 100 "$graft" run --memory 64M --debug-exit 0xf4 --on-reset end --kernel "$guest" --append "test=$1" "${@:2}" 2>&1 </dev/null); }

# Nobody, in no group: whatever the device's rights are, there is a guest or a reason.
cp "$guest" "$graft" "$tap_temporary"
chmod 755 "$tap_temporary" "$tap_temporary/graft"
chmod 644 "$tap_temporary/testguest"
nobody() { (cd "$tap_temporary" && setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs timeout 100 ./graft run \
    --kernel testguest --memory 64M --append test=triple "$@" 2>&1 </dev/null); }
out=$(nobody --engine auto --verbose)
is $? 104 "auto, as nobody: the guest runs"
has "$out" 'CPUs by the kvm|KVM is not used: [a-z/]' "by KVM, or with a reason"
out=$(nobody --engine kvm)
case $? in
104) report 0 "KVM as nobody: the device is everybody's" ;;
*) has "$out" 'KVM is not used: (there is no /dev/kvm: switch|/dev/kvm is not for this user: let root)' "KVM as nobody: what to do" ;;
esac

test_guest triple --engine kvm
status=$?
if printf '%s' "$out" | grep -q 'KVM is not used'; then
    reason=$(printf '%s' "$out" | sed -n 's/.*KVM is not used: //p' | tail -n 1)
    is $status 1 "without KVM, --engine kvm is refused"
    skip "guests by KVM" "$reason"
else
    is $status 104 "a triple fault ends in a report"
    has "$out" "triple fault" "which names it"
    test_guest events --engine kvm
    is $? 1 "interrupts that meet exceptions, and the task priority"
    test_guest memory --engine kvm
    is $? 1 "random values to every unmapped address: the machine goes on"
    test_guest reset --engine kvm
    is $? 102 "a reset by the keyboard controller"
    test_guest bench --engine kvm
    is $? 1 "exits of every kind, and a timer"
    passes "whole machines: console, input, ends, signals, in the sandbox" build/release/host/bin/unit-linux-machine kvm
fi
tap_end
