#!/bin/bash
# SPDX-License-Identifier: MIT
# The guest's clock against this machine's monotonic clock, for 120 seconds under load, with each clock source. Three runs side by side.
# timeout: 420
. tests/tap.sh

seconds=120
ppm_most=1000 # 0.1 %

# The guest says MARK and its time, ten times at the beginning and ten at the end; we put ours beside it as the line arrives, and
# take of each ten the line that was the least late. Load: two processes that compute and fork.
clock_run()
{
    ./run --cpus 2 --append "$2" --timeout 400 --exec "
        cat /sys/devices/system/clocksource/clocksource0/current_clocksource
        for i in 1 2; do while :; do seq 1 3000 | md5sum >/dev/null; done & done
        stamp() { for i in 1 2 3 4 5 6 7 8 9 10; do read t rest </proc/uptime; echo MARK \$1 \$t; sleep 0.2; done; }
        sleep 2; stamp 1; sleep $seconds; stamp 2
        dmesg | grep -Eic 'unstable|stall|lockup' | sed 's/^/COMPLAINTS /'" </dev/null 2>"$tap_temporary/$1.err" |
    while read -r line; do
        read -r now _ </proc/uptime
        printf '%s %s\n' "$now" "$line"
    done >"$tap_temporary/$1"
}

for source in default tsc acpi_pm; do
    words=
    [ $source = default ] || words="clocksource=$source"
    clock_run $source "$words" &
    sleep 4
done
wait

for source in default tsc acpi_pm; do
    file=$tap_temporary/$source
    [ -s "$file" ] || sed 's/^/# /' "$file.err"
    used=$(awk 'NR == 1 { print $2 }' "$file")
    [ $source = default ] || is "$used" $source "$source: the guest uses it"
    drift=$(awk '$2 == "MARK" { late = $1 - $4; if (!n[$3]++ || late < least[$3]) { least[$3] = late; guest[$3] = $4 } }
        END { if (n[1] != 10 || n[2] != 10) print "none"
              else { t = guest[2] - guest[1]; printf "%d %d\n", t, (least[1] - least[2]) / t * 1e6 } }' "$file")
    echo "# $source ($used): guest seconds and drift in ppm: $drift"
    ppm=${drift##* }
    [ "$drift" != none ] && [ "${drift%% *}" -ge $seconds ] && [ "${ppm#-}" -lt $ppm_most ]
    report $? "$source ($used): less than 0.1 % of drift in $seconds s under load"
    is "$(awk '$2 == "COMPLAINTS" { print $3 }' "$file")" 0 "$source: no complaint in the guest's log"
done
tap_end
