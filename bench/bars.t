#!/bin/bash
# SPDX-License-Identifier: MIT
# The exact counts of `make bench` against their bars (counts of instructions, not times), and the size of the kernel.
# timeout: 600
. tests/tap.sh

out=$(bench/run.sh 2>&1)
is $? 0 "make bench comes to its end"
while read -r name value bar verdict _; do
    case $bar in
    [0-9]*) is "$verdict" ok "$name: $value, at most $bar" ;;
    *) has "$value" '^[0-9]+$' "$name: $value" ;;
    esac
done < <(echo "$out" | sed '1,/^figure  *count/d' | sed '/^$/,$d')
has "$(echo "$out" | grep -c '^figure [a-z]')" '^(1[7-9]|[2-9][0-9])$' "all figures are there"
tap_end
