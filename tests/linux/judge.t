#!/bin/bash
# SPDX-License-Identifier: MIT
# Bochs judges: segmentation, far transfers, gates, tasks and system instructions from random states, the results of both engines line for line; then the
# partition of the opcode table with the rows that were so judged.
# timeout: 300
. tests/tap.sh
. tests/linux/judge.sh

judge "${SEED:-1}" "${COUNT:-20000}" 100
awk 'NF > 2 { print $2 == "v86" ? 2 : 4, $3 }' "$tap_temporary/bochs.lines" >"$tap_temporary/judged"
status=0
CPU_JUDGED=$tap_temporary/judged build/release/host/bin/unit-cpu-partition >"$tap_temporary/out" || status=$?
sed -n 's/^#/# /p; s/^not ok/#  not ok/p' "$tap_temporary/out"
is "$status" 0 "each row has a judge"
tap_end
