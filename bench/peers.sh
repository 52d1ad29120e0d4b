#!/bin/bash
# SPDX-License-Identifier: MIT
# The same work on Graft, in QEMU's TCG and natively (make bench-peers): bench/peers.sh --help
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
work=${WORK:-build/bench-peers}
program=build/release/bench/peers
graft=${GRAFT:-build/release/host/bin/graft}
peers=${PEERS:-graft tcg native}
engine=${ENGINE:-recompiler}
rounds=${ROUNDS:-3}
rows=${ROWS:-all}
rows_two=${ROWS_TWO:-getppid,fault,pipe,fork,exec,switch,yield,threads,mutex,par_integer,par_memory,par_fault}
cpus=${CPUS:-1 2}
scale=${SCALE:-100}
scale_graft=${SCALE_GRAFT:-$scale}
memory=512
limit=${LIMIT:-300}

usage()
{
    cat <<'END'
usage: bench/peers.sh [--table] [--markdown] [--strict]
Runs the programs of bench/peers in a guest on Graft, in the same guest in QEMU's TCG, and natively, in turn, several rounds;
prints times, ratios, lines 'figure NAME VALUE', and whether the bars hold.
  --table      no runs: only evaluate what the last ones left in build/bench-peers/results
  --markdown   the table for doc/performance.md instead of the plain one
  --strict     status 1 if a bar does not hold
Variables: ROUNDS (3); PEERS ("graft tcg native"); ENGINE (recompiler); CPUS ("1 2"), the numbers of virtual CPUs; ROWS (all: names or kinds with
commas), and ROWS_TWO for two CPUs; SCALE (100) and SCALE_GRAFT, the runs of a row in per cent; LIMIT (300), seconds for a
guest; WORK, the directory; GRAFT, the program.
END
}

die()
{
    echo "peers: $*" >&2
    exit 1
}

prepare()
{
    make -s MODE=release $program >&2
    make -s MODE=release build/release/host/bin/mkcpio >&2
    tools/guest.sh kernel >&2
    case " $peers " in *" graft "*) [ -n "${GRAFT:-}" ] || make -s -j"$(nproc)" MODE=release "$graft" >&2 ;; esac
    mkdir -p "$work"
    printf '%s\n' 'dir /dev 755' 'dir /sys 755' 'node /dev/console 600 5 1' 'node /dev/null 666 1 3' 'node /dev/zero 666 1 5' \
        "file /init 755 $program" | build/release/host/bin/mkcpio >"$work/initrd"
}

# Each of the names with commas is one of the program's.
check_rows()
{
    local name
    for name in ${1//,/ }; do
        [ "$name" = all ] || $program list | grep -qw "$name" || die "there is no row $name"
    done
}

# Each line with the time at which it came.
stamp()
{
    local line
    while IFS= read -r line; do
        printf '%s %s\n' "$EPOCHREALTIME" "${line%$'\r'}"
    done
}

# "debug" makes the kernel's setup code, which only firmware runs, say when it begins; "quiet" behind it takes back what else that means.
words="console=ttyS0 earlyprintk=ttyS0,115200 debug quiet panic=-1 mitigations=off"

run_graft()
{
    timeout "$limit" "$graft" run --engine "$engine" --kernel build/guest/bzImage --initrd "$work/initrd" --memory ${memory}M --cpus "$1" \
        --stats --on-reset end --append "$words SCALE=$scale_graft ROWS=$2" </dev/null 2>"$work/graft.err"
}

# The processor model as near to Graft's as QEMU 7.2 comes: 4-level paging, and the host's vendor.
run_tcg()
{
    local vendor
    vendor=$(sed -n '/^vendor_id/{s/.*: //p;q}' /proc/cpuinfo)
    timeout "$limit" qemu-system-x86_64 -accel tcg -machine q35 -cpu "max,la57=off,vendor=$vendor" -m $memory -smp "$1" -nodefaults -display none \
        -serial stdio -no-reboot -kernel build/guest/bzImage -initrd "$work/initrd" -append "$words SCALE=$scale ROWS=$2" \
        </dev/null 2>"$work/tcg.err"
}

run_native()
{
    env -i CPUS="$1" SCALE="$scale" ROWS="$2" $program && echo done
}

# usage: try ROUND PEER CPUS: lines "ROUND CPUS PEER NAME NANOSECONDS KIND" in $work/tried.
try()
{
    local round=$1 peer=$2 count=$3 log="$work/$2.$3.log" wanted=$rows set_up=0
    [ "$count" = 1 ] || wanted=$rows_two
    echo "peers: round $round, $peer, $count CPU(s)" >&2
    echo "$EPOCHREALTIME start" >"$log"
    "run_$peer" "$count" "$wanted" | stamp >>"$log" || :
    [ "$peer" != graft ] || set_up=$(sed -n 's/.*stats: set-up \([0-9]*\) us.*/\1/p' "$work/graft.err")
    awk -v round="$round" -v peer="$peer" -v cpus="$count" -v set_up="$set_up" '
        $2 == "start" { start = $1; entry = start + set_up / 1e6 }
        /early console in setup code/ { entry = $1 }
        $2 == "init" && NF == 5 {
            printf "%d %d %s boot %.0f boot\n", round, cpus, peer, ($1 - entry) * 1e9
            printf "%d %d %s boot_process %.0f boot\n", round, cpus, peer, ($1 - start) * 1e9
            printf "%d %d %s boot_uptime %s boot\n", round, cpus, peer, $3
            if ($5 != cpus) print "peers: " peer " has " $5 " CPU(s)" >"/dev/stderr"
        }
        $2 == "clock" { print "peers: " peer ": clock source " $3 >"/dev/stderr" }
        $2 == "begin" { begin = $1 }
        $2 == "row" {
            print round, cpus, peer, $3, $4, $5
            took = ($1 - begin) * 1e9; off = took - $6
            if (off > 1e7 + took / 10 || off < -(1e7 + took / 10))
                printf "peers: %s: %s took %.0f ms by the clock there, %.0f ms by the one here\n", peer, $3, $6 / 1e6, took / 1e6 >"/dev/stderr"
        }
        $2 == "bad" { printf "peers: %s: wrong result in %s: %s, not %s\n", peer, $3, $4, $5 >"/dev/stderr"; bad = 1 }
        $2 == "done" { done = 1 }
        END { if (bad || !done) { if (!done) print "peers: " peer ": not done; see '"$log"'" >"/dev/stderr"; exit 1 } }' \
        "$log" >"$work/tried" || { tail -n 3 "$work/$peer.err" >&2 2>/dev/null; return 1; }
}

# The same into the results. QEMU hangs now and then with two CPUs: a second try.
measure()
{
    if try "$@" || { echo "peers: once more" >&2 && try "$@"; }; then
        cat "$work/tried" >>"$work/results"
    else
        failed=1
    fi
}

table='' markdown=0 strict=0 failed=''
for option in "$@"; do
    case $option in
    --table) table=1 ;;
    --markdown) markdown=1 ;;
    --strict) strict=1 ;;
    --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $option" ;;
    esac
done

if [ -z "$table" ]; then
    prepare
    check_rows "$rows,$rows_two"
    : >"$work/results"
    for round in $(seq "$rounds"); do
        [ "$round" = 1 ] || peers="${peers#* } ${peers%% *}" # each comes first once
        for count in $cpus; do
            for peer in $peers; do
                measure "$round" "$peer" "$count"
            done
        done
    done
fi
[ -s "$work/results" ] || die "there are no results in $work"
awk -v markdown=$markdown -v strict=$strict -f bench/peers.awk bench/peers/reasons "$work/results" || failed=1
[ -z "$failed" ]
