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

run --vms 2 >/dev/null
is $? 125 "several machines are several processes"

build/release/host/bin/graft run --kernel README.md >/dev/null 2>"$tap_temporary/err" </dev/null
is $? 1 "a kernel that is none"
has "$(cat "$tap_temporary/err")" 'kernel expected' "is refused with a reason"

tap_end
