#!/bin/bash
# SPDX-License-Identifier: MIT
# Do the kernel's tests notice a broken kernel? Each mutation takes one check out of a copy of the kernel; a suite has to fail on it.
# timeout: 600
. tests/tap.sh
. tests/qemu.sh

copy=build/mutation
rm -rf $copy
mkdir -p $copy/build
cp -r Makefile mk abi lib kernel $copy

build_copy() { make -s -C $copy MODE=debug -j"$(nproc)" build/debug/graft.elf32 >"$tap_temporary/make" 2>&1; }
make -s -j"$(nproc)" MODE=debug build/debug/bin/ktest >&2 || exit 1
passes "the copy builds" build_copy

# run SUITE CPUS: status 0 if all passed, 1 if something failed or the kernel found an invariant broken
run()
{
    "$runner" --summary --fail "panic: " --timeout 60 --log "$tap_temporary/log" --errors "$tap_temporary/errors" -- "${qemu_machine[@]}" \
        -smp "$2" -kernel $copy/build/debug/graft.elf32 -initrd "build/debug/bin/ktest ktest suite=$1" >/dev/null 2>&1
}

# mutation NAME FILE SED-EXPRESSION SUITE CPUS
mutation()
{
    local status=0
    sed -i "$3" "$copy/$2"
    if cmp -s "$2" "$copy/$2"; then
        report 1 "$1: there is something to mutate"
        return
    fi
    if build_copy; then
        run "$4" "$5" || status=$?
        is $status 1 "$1: suite $4 fails"
        grep -aE -m 1 '^not ok|panic: ' "$tap_temporary/log" | tr -cd '\n\t -~' | sed 's/^/# /'
    else
        report 1 "$1: builds"
        tail -n 5 "$tap_temporary/make" | sed 's/^/# /'
    fi
    cp "$2" "$copy/$2"
}

run 12 1
report $? "without a mutation suite 12 passes"
mutation "a tag is kept whatever its generation" kernel/svm.c \
    's/v->asid_generation != cpu->asid_generation/!v->asid_generation/' 12 1
mutation "no flush of other CPUs' TLBs" kernel/tree.c 's/if (batch->flush_host)/if (false)/' 10 2
mutation "no quota" kernel/pd.h 's/return frames <= account->limit - account->used;/return frames < 1ull << 30 || !account;/' 2 1
mutation "no limit of the derivation's depth" kernel/delegate.c 's/> ABI_DEPTH_MAX/> 200/' 3 1
mutation "derivation adds permissions" kernel/delegate.c 's/return from->perms | (/return 0xff | (/' 3 1
mutation "a call to another CPU" kernel/ipc.c 's/(\*callee)->cpu != ec->cpu/false/' 14 2
rm -rf $copy
tap_end
