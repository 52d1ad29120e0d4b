# SPDX-License-Identifier: MIT
# For scripts that want the recompiler and have sourced tests/tap.sh: not every processor can have it.

# lacks_recompiler FILE NAME: does FILE, what graft has said, tell that this processor cannot? NAME is skipped then, with graft's reason.
lacks_recompiler()
{
    grep -q "the recompiler needs" "$1" || return 1
    skip "$2" "$(sed -n 's/^graft: //p' "$1" | head -n 1)"
}

# needs_recompiler GRAFT KERNEL NAME: a script that is about nothing else ends here if so.
needs_recompiler()
{
    "$1" run --engine recompiler --kernel "$2" --timeout 1 >/dev/null 2>"$tap_temporary/needs" </dev/null
    lacks_recompiler "$tap_temporary/needs" "$3" || return 0
    tap_end
    exit
}
