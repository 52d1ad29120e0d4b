#!/bin/bash
# SPDX-License-Identifier: MIT
# The guest, the agent's protocol and ./run's own behaviour, in plain QEMU: what ./run promises whatever the guest runs on.
# timeout: 300
. tests/tap.sh

run() { timeout 60 ./run --host qemu --timeout 50 "$@" 2>"$tap_temporary/err"; }

out=$(run --exec 'uname -a'); status=$?
is $status 0 "a command's status 0"
has "$out" '^Linux vm1 6\.1\.0-[0-9]+-cloud-amd64 .* Debian 6\.1\.' "the kernel is Debian's"

run --exec 'exit 255' >/dev/null
is $? 255 "a command's status 255"

run --exec 'kill -9 $$' >/dev/null
is $? 137 "a command that a signal ended"

run --exec 'echo one; echo two >&2; printf "a\001\377\\\\b\n\nlast"' >"$tap_temporary/got"
printf 'one\ntwo\na\001\377\\b\n\nlast' >"$tap_temporary/want"
passes "output arrives byte for byte" cmp "$tap_temporary/got" "$tap_temporary/want"

out=$(run --exec 'seq 1 20000' | cksum)
is "$out" "$(seq 1 20000 | cksum)" "a hundred kilobytes arrive whole"

run --exec $'if true; then\n  x="a b"\n  echo "$x" \'"quoted"\' \\\n  more\nfi' >"$tap_temporary/got"
is "$(cat "$tap_temporary/got")" 'a b "quoted" more' "quotes and several lines"

out=$(run --cpus 3 --memory 512M --append 'graft.test="1 & <2>"' --exec 'nproc; awk "/MemTotal/ { print int(\$2 / 1024 / 100) }" /proc/meminfo; cat /proc/cmdline')
has "$out" '^3$' "--cpus"
has "$out" '^4$' "--memory"
has "$out" 'graft\.test="1 & <2>"$' "--append"

timeout 60 ./run --host qemu --timeout 3 --exec 'sleep 100' >/dev/null 2>&1
is $? 124 "--timeout"

run --exec 'poweroff; sleep 50' >/dev/null
is $? 125 "a guest that ends before its command"

./run --vms 0 >/dev/null 2>"$tap_temporary/err"
is $? 125 "a wrong number is refused"
has "$(cat "$tap_temporary/err")" '^run: --vms wants 1 to 9' "and said so"
./run --kernel /no/such >/dev/null 2>&1
is $? 125 "a missing kernel is refused"
is "$(./run --help | head -n 1)" "usage: ./run [options]" "--help"

# The shell, by hand: what is typed reaches it, poweroff ends the machine and the run.
talk 1 '^/ #' 'echo $((6*7))x\n' 1 '^42x' 'poweroff\n' -- run
is $? 0 "the interactive run ends with the machine"
has "$said" '^42x' "the shell ran what was typed"

tap_end
