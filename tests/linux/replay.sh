# SPDX-License-Identifier: MIT
# Runs that are recorded and replayed, for scripts that have sourced tests/tap.sh and set $log.

# run GRAFT OPTIONS...: the console in $log.console, what graft says in $log
run()
{
    local graft=$1
    shift
    timeout 200 "$graft" run "$@" >"$log.console" 2>"$log" </dev/null
}

# agrees STATUS NAME: of a replay
agrees()
{
    [ "$1" = 0 ] && grep -q 'all agrees$' "$log"
    report $? "$2"
    grep -a 'replayed: \|replay: \|^graft:   ' "$log" | sed 's/^graft: /# /'
}
