#!/bin/bash
# SPDX-License-Identifier: MIT
# Install what is missing, by package name, on Debian 12.   usage: tools/setup.sh run|test
# Quick and silent when nothing is missing. Needs root, or sudo, only when something is.
set -u

run_packages="make gcc libc6-dev binutils libseccomp-dev qemu-system-x86 seabios busybox-static ca-certificates"
test_packages="clang libclang-rt-14-dev perl ovmf grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools
    acpica-tools bochs bochsbios vgabios libexpat1-dev libzydis-dev cloc git debootstrap fakeroot fakechroot xz-utils"

die()
{
    echo "setup: $*" >&2
    exit 1
}

case ${1:-} in
run) wanted=$run_packages ;;
test) wanted="$run_packages $test_packages" ;;
*) die "usage: tools/setup.sh run|test" ;;
esac

command -v dpkg-query >/dev/null || die "this set-up knows Debian 12 only (no dpkg here). Needed are: $wanted"

missing=""
installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' 2>/dev/null)"
for package in $wanted; do
    case $installed in
    *" installed:$package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing:$missing. Install them as root: apt-get install$missing"
    as_root=sudo
fi
echo "setup: installing$missing"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1 </dev/null && return
    tail -n 15 "$log" >&2
    return 1
}
apt update || die "apt-get update failed. Is the network reachable, and /etc/apt/sources.list that of Debian 12?"
# shellcheck disable=SC2086
apt install --no-install-recommends $missing ||
    die "apt-get could not install$missing. Put that right by hand, then start again."
echo "setup: done"
