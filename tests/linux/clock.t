#!/bin/bash
# SPDX-License-Identifier: MIT
# A Linux guest's clock against this machine's monotonic clock, with all of this machine's CPUs busy, with each clock source; sleeps by its timers.
# SECONDS_EACH, SOURCES: longer runs, others of default, tsc, hpet, acpi_pm.
# timeout: 180
. tests/tap.sh

make -s -j"$(nproc)" MODE=release build/release/host/bin/graft tools >&2
tools/guest.sh kernel >&2
tools/guest.sh initrd >&2
seconds=${SECONDS_EACH:-10}
# Five times in a row the guest says its time and we put ours beside it; the one that was the least late counts. 50 ms each may be left of that.
ms_most=$((seconds + 100))

busy=()
trap 'kill "${busy[@]}" 2>/dev/null; rm -rf "$tap_temporary"' EXIT
for ((i = 0; i < $(nproc); i++)); do
    while :; do :; done &
    busy+=($!)
done

clock_run() # SOURCE
{
    local words="console=ttyS0 quiet" options=()
    [ "$1" = default ] || words+=" clocksource=$1"
    [ "$1" != hpet ] || options=(--hpet)
    timeout $((seconds + 60)) build/release/host/bin/graft run --engine "${ENGINE:-auto}" --cpus 2 "${options[@]}" --kernel build/guest/bzImage \
        --initrd build/guest/initrd --append "$words" --exec "
        cat /sys/devices/system/clocksource/clocksource0/current_clocksource
        stamp() { for i in 1 2 3 4 5; do read t rest </proc/uptime; echo MARK \$1 \$t; sleep 0.1; done; }
        read a rest </proc/uptime; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; done; read b rest </proc/uptime; echo SLEPT \$a \$b
        stamp 1; sleep $seconds; stamp 2
        cat /sys/devices/system/clocksource/clocksource0/current_clocksource
        dmesg | grep -Eic 'unstable|stall|lockup' | sed 's/^/COMPLAINTS /'" </dev/null 2>"$tap_temporary/$1.err" |
    while read -r line; do
        read -r now _ </proc/uptime
        printf '%s %s\n' "$now" "$line"
    done >"$tap_temporary/$1"
}

for source in ${SOURCES:-default hpet}; do
    clock_run "$source"
    file=$tap_temporary/$source
    [ -s "$file" ] || sed 's/^/# /' "$tap_temporary/$source.err"
    used=$(awk 'NF == 2 && $2 !~ /^[A-Z]/ { print $2 }' "$file" | paste -sd' ')
    [ "$source" = default ] && wanted=${used%% *} || wanted=$source
    is "$used" "$wanted $wanted" "$source: the clock source ($wanted) is kept"
    drift=$(awk '$2 == "MARK" { late = $1 - $4; if (!n[$3]++ || late < least[$3]) { least[$3] = late; guest[$3] = $4 } }
        END { if (n[1] != 5 || n[2] != 5) print "none"
              else printf "%d %d\n", guest[2] - guest[1], (least[1] - least[2]) * 1e3 }' "$file")
    slept=$(awk '$2 == "SLEPT" { printf "%d", ($4 - $3) * 1e3 }' "$file")
    echo "# $source ($used): guest seconds and drift in ms: $drift; ten sleeps of 0.3 s: ${slept:-none} ms"
    ms=${drift##* }
    [ "$drift" != none ] && [ "${drift%% *}" -ge "$seconds" ] && [ "${ms#-}" -lt $ms_most ]
    report $? "$source: at most $ms_most ms of drift in $seconds s under load"
    [ "${slept:-0}" -ge 2990 ] && [ "$slept" -lt 4500 ]
    report $? "$source: sleeps take their time"
    is "$(awk '$2 == "COMPLAINTS" { print $3 }' "$file")" 0 "$source: no complaint in the guest's log"
done
tap_end
