# SPDX-License-Identifier: MIT
# TAP from shell scripts. A test sources this file (from the project's top), reports with the functions below and ends with
# `tap_end`, which prints the plan and exits with 1 if something failed.

tap_count=0
tap_failed=0
tap_temporary=$(mktemp -d)
trap 'rm -rf "$tap_temporary"' EXIT

# report STATUS NAME: passed if STATUS is 0
report()
{
    tap_count=$((tap_count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tap_count - $2"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $2"
    fi
}

# passes NAME COMMAND...: COMMAND must succeed; what it printed is shown if it does not
passes()
{
    local name=$1 status=0
    shift
    "$@" >"$tap_temporary/output" 2>&1 || status=$?
    report $status "$name"
    [ $status = 0 ] || { echo "# status $status"; sed 's/^/# /' "$tap_temporary/output" | tail -n 30; }
}

# is GOT WANT NAME
is()
{
    if [ "$1" = "$2" ]; then
        report 0 "$3"
    else
        report 1 "$3"
        printf 'got:    %s\nwanted: %s\n' "$1" "$2" | head -n 40 | sed 's/^/# /'
    fi
}

# has TEXT PATTERN NAME: an extended regular expression that a line must match
has()
{
    if printf '%s\n' "$1" | grep -aEq -- "$2"; then
        report 0 "$3"
    else
        report 1 "$3"
        printf 'wanted: %s\nin:\n%s\n' "$2" "$(printf '%s\n' "$1" | tail -n 25)" | sed 's/^/# /'
    fi
}

# skip NAME REASON: counted, and a failure unless tests/skips lists it
skip()
{
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

# talk COUNT PATTERN KEYS [COUNT PATTERN KEYS]... -- COMMAND...: COMMAND with a person at its keyboard, who types KEYS (printf's escapes)
# once PATTERN has come in COUNT lines. Its output is in $said, its status in $?.
talk()
{
    local out=$tap_temporary/talk keys=$tap_temporary/keys steps=() step i pid status=0
    while [ "$1" != -- ]; do
        steps+=("$1" "$2" "$3")
        shift 3
    done
    shift
    rm -f "$keys"
    mkfifo "$keys"
    : >"$out"
    "$@" <"$keys" >"$out" &
    pid=$!
    exec 9>"$keys"
    for ((step = 0; step < ${#steps[@]}; step += 3)); do
        for ((i = 0; i < 600; i++)); do
            [ "$(grep -ac -- "${steps[step + 1]}" "$out")" -ge "${steps[step]}" ] && break
            kill -0 $pid 2>/dev/null || break
            sleep 0.2
        done
        sleep 1
        # shellcheck disable=SC2059
        printf "${steps[step + 2]}" >&9 2>/dev/null || :
    done
    wait $pid || status=$?
    exec 9>&-
    said=$(cat "$out")
    return $status
}

tap_end()
{
    echo "1..$tap_count"
    [ $tap_failed = 0 ]
    exit $?
}
