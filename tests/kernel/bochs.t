#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel and its tests in Bochs: a second implementation of SVM (trinity_apu), and x2APIC and TSC deadline (Haswell, without SVM).
# timeout: 600
. tests/tap.sh
. tests/kernel/bochs.sh

# model NAME MODEL OPTIONS WANTED: WANTED is a line that has to come
model()
{
    local name=$1 status=0 log=$tap_temporary/log
    bochs_iso "$tap_temporary/iso" debug build/debug/bin/ktest "bochs=1 $3" || { report 1 "$name: image"; return; }
    bochs_run "$2" "$tap_temporary/iso" 250 "$log" || status=$?
    while read -r line; do
        case $line in
        "ok "*"# SKIP "*) line=${line#* - }; skip "$name: ${line%% # SKIP*}" "${line##*# SKIP }" ;;
        "ok "*) report 0 "$name: ${line#* - }" ;;
        "not ok "*) report 1 "$name: ${line#* - }" ;;
        "# "*) echo "$line" ;;
        esac
    done < <(tr -d '\r' <"$log" | tr -cd '\n\t -~')
    report $status "$name: comes to its end without a failure"
    [ $status = 0 ] || tail -n 5 "$log" "$tap_temporary/bochs" | tr -cd '\n\t -~' | sed 's/^/# /'
    grep -aq "$4" "$log"
    report $? "$name: $4"
}

make -s -j"$(nproc)" MODE=debug build/debug/graft.elf32 build/debug/bin/ktest >&2 || exit 1
model "trinity_apu" trinity_apu "" "SVM 1"
model "corei7_haswell_4770" corei7_haswell_4770 "" "TSC deadline 1"
grep -q 'WRMSR: wrote 00000000:fee00[cd]00 to MSR_APICBASE' "$tap_temporary/bochs"
report $? "corei7_haswell_4770: x2APIC is on"
tap_end
