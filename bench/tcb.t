#!/bin/bash
# SPDX-License-Identifier: MIT
# The size of what a VM has to trust, from what is linked (make tcb).
# timeout: 300
. tests/tap.sh

out=$(make -s MODE=release all >&2 && tools/tcb.sh release)
is $? 0 "make tcb comes to its end"
kernel=$(echo "$out" | sed -n 's/^figure tcb_kernel_lines //p')
[ "${kernel:-99999}" -le 6500 ]
report $? "the kernel image is made of ${kernel:-?} lines, at most 6500"
has "$out" '^figure tcb_lines [0-9]+$' "the lines that one VM trusts in all"
tap_end
