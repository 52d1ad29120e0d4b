# SPDX-License-Identifier: MIT
# Boot something on Graft's kernel in QEMU, for test scripts that have sourced tests/tap.sh.

runner=build/release/host/bin/qemu-run
qemu_machine=(qemu-system-x86_64 -accel tcg,thread=multi -machine q35 -cpu EPYC -m 512 -nodefaults -display none -serial stdio
    -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4)

make -s -j"$(nproc)" tools >&2 || exit 1

# suites NAME SECONDS MODE MODULES QEMU-ARGUMENTS...: a root task that prints "ok" and "not ok" lines and a last line
# "N passed, N failed, N skipped" (of its checks); each of its lines becomes a test of this script.
suites()
{
    local name=$1 seconds=$2 mode=$3 modules=$4 status=0 log
    shift 4
    log=$tap_temporary/log
    make -s -j"$(nproc)" MODE="$mode" "build/$mode/graft.elf32" ${modules%%[ ,]*} >&2 || { report 1 "$name: builds"; return; }
    "$runner" --summary --timeout "$seconds" --log "$log" --errors "$log.err" -- "${qemu_machine[@]}" \
        -kernel "build/$mode/graft.elf32" -initrd "$modules" "$@" >/dev/null 2>"$log.run" || status=$?
    while read -r line; do
        case $line in
        "ok "*"# SKIP "*) line=${line#* - }; skip "$name: ${line%% # SKIP*}" "${line##*# SKIP }" ;;
        "ok "*) report 0 "$name: ${line#* - }" ;;
        "not ok "*) report 1 "$name: ${line#* - }" ;;
        "# "*) echo "$line" ;;
        "figure "*) echo "# $line" ;;
        esac
    done < <(tr -d '\r' <"$log" | tr -cd '\n\t -~')
    report $status "$name: comes to its end without a failure"
    [ $status = 0 ] || { cat "$log.run"; tail -n 12 "$log.err"; } | tr -cd '\n\t -~' | sed 's/^/# /'
}
