# SPDX-License-Identifier: MIT
# Booting the microhypervisor with test components, for scripts that have sourced tests/tap.sh and set bin (build/release) and cpus.
# The configuration is $tap_temporary/config, the log $tap_temporary/log.

# boot MODULE...: in the background; a module is the name of a binary
boot()
{
    local modules="$bin/bin/core console=debug,$bin/bin/init,$tap_temporary/config" m
    for m in "$@"; do
        modules+=",$bin/bin/$m"
    done
    : >"$tap_temporary/log"
    qemu-system-x86_64 -machine q35 -cpu EPYC -accel tcg -smp "$cpus" -m "${memory:-512}" -nodefaults -display none -no-reboot \
        -debugcon "file:$tap_temporary/log" -serial "file:$tap_temporary/serial" -rtc base="${rtc:-utc}" \
        -kernel "$bin/graft.elf32" -initrd "$modules" 2>"$tap_temporary/errors" &
    machine=$!
    trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null; rm -rf "$tap_temporary"' EXIT
}

# logged PATTERN: a basic regular expression that a line of the log matches
logged()
{
    grep -aq -- "$1" "$tap_temporary/log"
}

# count PATTERN
count()
{
    grep -ac -- "$1" "$tap_temporary/log"
}

# await SECONDS NAME COMMAND...: until COMMAND succeeds; reports it
await()
{
    local end=$((SECONDS + $1)) name=$2
    shift 2
    while ! "$@" && [ $SECONDS -lt $end ] && kill -0 "$machine" 2>/dev/null; do
        sleep 0.1
    done
    "$@"
    report $? "$name"
}

# says PATTERN NAME: the log has it
says()
{
    has "$(cat "$tap_temporary/log")" "$1" "$2"
}

stop()
{
    kill "$machine" 2>/dev/null
    wait "$machine" 2>/dev/null
    machine=
}

# The checks that components wrote as TAP into the log, and that each wrote all: components_tap NAME...
components_tap()
{
    local name line planned
    for name in "$@"; do
        while read -r line; do
            case $line in
            'ok '*) report 0 "$name: ${line#* - }" ;;
            'not ok '*) report 1 "$name: ${line#* - }" ;;
            esac
        done < <(sed -n "s/^\[$name\] //p" "$tap_temporary/log")
        planned=$(sed -n "s/^\[$name\] 1\.\.//p" "$tap_temporary/log")
        is "$(grep -acE "^\[$name\] (not )?ok " "$tap_temporary/log")" "${planned:-a plan}" "$name made all its checks"
    done
}
