# SPDX-License-Identifier: MIT
# Debian's kernels on `graft run`, each to a shell and off again. For kernels.t and kernels.soak, which source it after tests/tap.sh.

graft=build/release/host/bin/graft
tools/setup.sh test >&2
make -s -j"$(nproc)" MODE=release "$graft" tools >&2

# engines: those of this build that execute guests in software, the best first
engines()
{
    "$graft" run --engine recompiler --kernel /dev/null 2>&1 </dev/null | grep -q 'not in this build' || echo recompiler
    echo interpreter
}

# What a kernel says when something is wrong.
complaints='stall|lockup|BUG:|Oops|WARNING: CPU|unstable|hung_task|not responding|#UD|traps:'

# What the guest's shell does, and what the console then has to show.
cat >"$tap_temporary/first" <<END
echo "shell: \$(uname -m) \$(uname -r), \$(nproc) CPU(s)"
for cpu in \$(seq "\$(nproc)"); do
    (echo "sum: \$(seq 1 2000 | md5sum)") &
done
wait
echo "floats: \$(awk 'BEGIN { for (i = 1; i < 200; i++) x += 1 / (i * i); printf "%.12f\n", x }')"
echo "complaints: \$(dmesg | grep -Ec '$complaints')"
dmesg | grep -E '$complaints'
poweroff -f
END

# boot ENGINE KIND CPUS [WORDS]: the console's text in $console, the status in $status, CPU seconds in $seconds.
# An engine that is thirty times slower gets thirty times the time.
boot()
{
    local engine=$1 kind=$2 cpus=$3 words="console=ttyS0 panic=1 ${4:-}" memory=256M limit=$((60 + 30 * $3)) kernel initrd
    kernel=build/guest/bzImage-$kind initrd=build/guest/initrd
    case $kind in
    cloud-amd64) kernel=build/guest/bzImage ;;
    686-pae) initrd=build/guest/initrd-686-pae ;;
    686-pae-vmlinux) kernel=build/guest/vmlinux-686-pae initrd=build/guest/initrd-686-pae ;;
    debian) kernel=build/guest/bzImage initrd=build/guest/initrd-debian memory=1G limit=$((limit * 2)) ;;
    esac
    [ "$engine" = interpreter ] && limit=$((limit * 30))
    tools/guest.sh first "$tap_temporary/archive" "$tap_temporary/first"
    cat "$initrd" "$tap_temporary/archive" >"$tap_temporary/initrd"
    status=0
    "$graft" run --engine "$engine" --cpus "$cpus" --memory $memory --kernel "$kernel" --initrd "$tap_temporary/initrd" --append "$words" \
        --on-reset end --timeout $limit --stats >"$tap_temporary/console" 2>"$tap_temporary/stats" </dev/null || status=$?
    console=$(tr -d '\r' <"$tap_temporary/console")
    seconds=$(sed -n 's/.* CPU user \([0-9]*\) ms.*/\1/p' "$tap_temporary/stats")
    seconds=$((${seconds:-0} / 1000))
}

# fetch KIND: what its boot needs
fetch()
{
    case $1 in
    cloud-amd64) tools/guest.sh kernel && tools/guest.sh initrd ;;
    amd64) tools/guest.sh kernel amd64 && tools/guest.sh initrd ;;
    686-pae*) tools/guest.sh vmlinux 686-pae && tools/guest.sh initrd 686-pae ;;
    debian) tools/guest.sh kernel && tools/guest.sh debian ;;
    esac >&2
}

# lines PATTERN: how many of the console's there are
lines() { printf '%s\n' "$console" | grep -aEc -- "$1"; }

# check_boot ENGINE KIND CPUS [WORDS]: one test
check_boot()
{
    local name="$2, $3 CPU(s), $1" got want what
    boot "$@"
    if [ "$2" = debian ]; then
        what="systemd's multi-user target, no complaint, and off" want="0 1 0"
        got="$status $(lines 'report: active, 0 failed') $(lines "$complaints")" # behind systemd's moving asterisks, if it is slow
    else
        what="a shell that calculates right, no complaint, and off" want="0 1 $3 1 1"
        got="$status $(lines "^shell: .* 6\.1\.[0-9]+-[0-9]+-${2%-vmlinux}, $3 CPU") $(lines "^sum: $(seq 1 2000 | md5sum)")"
        got="$got $(lines '^floats: 1\.639921546015$') $(lines '^complaints: 0')"
    fi
    is "$got" "$want" "$name: $what"
    echo "# times $name: $seconds s of CPU"
    [ "$got" = "$want" ] || {
        printf '%s\n' "$console" | grep -aE "report:|FAILED|panic|$complaints"
        printf '%s\n' "$console" | tail -n 25
        cat "$tap_temporary/stats"
    } | sed 's/^/# /'
}
