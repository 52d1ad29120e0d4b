#!/bin/bash
# SPDX-License-Identifier: MIT
# How many source lines a VM has to trust, by part, from what is linked: the compilation units named in each binary's
# debugging information, and the headers that their dependency files name. Code lines, counted by cloc.
# usage: tools/tcb.sh [MODE]     Lines 'figure NAME VALUE' are for tests.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
mode=${1:-release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# files BINARY FLAVOUR: each source and header of ours that went into it
files()
{
    readelf --debug-dump=info --dwarf-depth=1 "$1" 2>/dev/null |
        sed -n 's/.*DW_AT_name *: \((indirect[^)]*): \)\?//p' | grep -E '\.[cS]$' | sort -u >"$work/units"
    [ -s "$work/units" ] || { echo "tcb: $1 has no debugging information" >&2; return 1; }
    while read -r unit; do
        echo "$unit"
        tr -d '\\' <"build/$mode/$2/$unit.d" | tr ' ' '\n' | grep '\.h$' | sed "s|^build/inc/[^/]*/||; s|^$PWD/||"
    done <"$work/units" | grep -v '^/' | sort -u
}

lines()
{
    if [ -s "$1" ]; then
        cloc --quiet --csv --list-file="$1" 2>/dev/null | awk -F, '$2 == "SUM" { print $5 }'
    else
        echo 0
    fi
}

part()
{
    local name=$1 binary=$2 flavour=$3
    [ -e "$binary" ] || { echo "tcb: $binary is not built" >&2; return 1; }
    files "$binary" "$flavour" >"$work/$name"
    sort -u "$work/$name" "$work/seen" >"$work/all"
    comm -13 "$work/seen" "$work/$name" >"$work/new"
    printf '%-44s %6d %8d %8d\n' "$name" "$(wc -l <"$work/$name")" "$(lines "$work/$name")" "$(lines "$work/new")"
    echo "figure tcb_${name}_lines $(lines "$work/$name")" >>"$work/figures"
    mv "$work/all" "$work/seen"
}

: >"$work/seen"
printf '%-44s %6s %8s %8s\n' "part" files lines "not yet"
printf '%-44s %6s %8s %8s\n' "" "" "" seen
part kernel "build/$mode/graft.elf64" kernel
part core "build/$mode/bin/core" user
part init "build/$mode/bin/init" user
part uart "build/$mode/bin/uart" user
part rtc "build/$mode/bin/rtc" user
part terminal "build/$mode/bin/terminal" user
part vmm "build/$mode/bin/vmm" user
total=$(lines "$work/seen")
printf '%-44s %6d %8s %8d\n' "all that one VM trusts" "$(wc -l <"$work/seen")" "" "$total"
echo "figure tcb_lines $total" >>"$work/figures"
echo
cat "$work/figures"
cat <<'END'

For comparison, source lines: NOVA of the 2010 paper 8,907; NOVA 24.08, x86 only, 13,942; Genode's NOVA 15,029 (kernels
alone); Genode's kernel, core, base libraries, init and timer about 54,400; Seoul, its VMM, about 26,000.
END
