#!/bin/bash
# SPDX-License-Identifier: MIT
# ./run --host linux: Debian on the VM process as an ordinary program.
# timeout: 400
. tests/tap.sh

run() { timeout 300 ./run --host linux "$@" 2>"$tap_temporary/err"; }

out=$(run --timeout 280 --cpus 2 --exec 'uname -s; nproc; cat /proc/cmdline; dd if=/dev/zero bs=1000 count=20 2>/dev/null | wc -c; exit 7' \
    --append 'graft.test="1 & <2>"'); status=$?
is $status 7 "a command's status"
has "$out" '^Linux$' "its output"
has "$out" '^2$' "--cpus"
has "$out" 'graft\.test="1 & <2>"$' "--append"
has "$out" '^20000$' "a pipe in the guest"
is "$(cat "$tap_temporary/err")" "run: starting the guest on Graft in this machine's Linux" "and nothing else is said"

run --timeout 3 --exec 'sleep 100' >/dev/null
is $? 124 "--timeout"

# The option itself, without ./run.
graft() { timeout 200 build/release/host/bin/graft run --kernel build/guest/bzImage "$@" 2>"$tap_temporary/err" </dev/null; }
out=$(graft --initrd build/guest/initrd --exec 'printf "a\\\\b\\001\\n"; cat; echo no >&2; exit 3')
is $? 3 "graft run --exec: a command's status"
is "$out" "$(printf 'a\\b\001\nno')" "its output, byte for byte, and no input"
out=$(graft --initrd build/guest/initrd --exec 'echo begun; reboot -f; sleep 60')
is "$? $out" "125 begun" "a guest that ends without the command's status"
has "$(cat "$tap_temporary/err")" 'ended before the command did' "is reported"
out=$(graft --initrd build/guest/initrd --append 'console=ttyS0 rdinit=/bin/false panic=-1' --exec true)
is "$? $out" "125 " "a guest without our init"
has "$(cat "$tap_temporary/err")" 'Kernel panic' "is reported with the console's last lines"
graft --initrd build/guest/initrd --timeout 1 --exec 'sleep 100' >/dev/null
is $? 124 "graft run --exec --timeout"
graft --initrd README.none --exec true >/dev/null
is $? 125 "what cannot be set up is no command's status"

run --vms 2 >/dev/null
is $? 125 "several machines are several processes"

build/release/host/bin/graft run --kernel README.md >/dev/null 2>"$tap_temporary/err" </dev/null
is $? 1 "a kernel that is none"
has "$(cat "$tap_temporary/err")" 'kernel expected' "is refused with a reason"

tap_end
