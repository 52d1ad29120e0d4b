#!/bin/bash
# SPDX-License-Identifier: MIT
# Build guests from Debian's packages, under build/guest/. Packages are downloaded and unpacked, never installed.
#   tools/guest.sh kernel                        Debian's cloud kernel: build/guest/bzImage
#   tools/guest.sh initrd                        busybox and the agent: build/guest/initrd
#   tools/guest.sh stress                        the same with stress-ng: build/guest/initrd-stress
#   tools/guest.sh command OUT NONCE FILE [NAME] an archive to append to an initrd: runs the script FILE in the guest
#   tools/guest.sh name OUT NAME                 an archive to append to an initrd: the guest's host name
#   tools/guest.sh first OUT FILE                an archive to append to an initrd: a script that init reads first
#   tools/guest.sh kvm OUT                       busybox, KVM's modules and QEMU: the host of bench/kvm
#   tools/guest.sh unpack PACKAGE...             packages, without their dependencies, into build/guest/root/PACKAGE
set -eu
cd "$(dirname "$0")/.."
tool=build/release/host/bin
guest=build/guest
kernel_package=linux-image-cloud-amd64

die()
{
    echo "guest: $*" >&2
    exit 1
}

# Download and unpack one package, once.
unpack()
{
    local to=$guest/root/$1 work
    [ -d "$to" ] && return
    work=$(mktemp -d "$guest/download.XXXXXX")
    if ! (cd "$work" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$1") >"$work/log" 2>&1 </dev/null; then
        tail -n 5 "$work/log" >&2
        rm -rf "$work"
        die "cannot download Debian's package $1; 'apt-get update' may help, or the network is missing"
    fi
    mkdir -p "$guest/root"
    dpkg-deb -x "$work"/*.deb "$work/root"
    mv "$work/root" "$to"
    rm -rf "$work"
}

depends_on()
{
    apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
        sed -n 's/^ *Depends: \([^<]*\)$/\1/p'
}

kernel()
{
    [ -s $guest/bzImage ] && return
    local package
    package=$(depends_on $kernel_package | grep '^linux-image' | head -n 1)
    [ -n "$package" ] || die "apt knows no package $kernel_package; run 'apt-get update' (as root) first"
    echo "guest: Debian's kernel, package $package"
    unpack "$package"
    cp "$guest/root/$package"/boot/vmlinuz-* $guest/bzImage.new
    echo "$package" >$guest/kernel-package
    mv $guest/bzImage.new $guest/bzImage
}

# The list for mkcpio that every initrd begins with.
base_list()
{
    local d applet
    for d in /bin /sbin /usr /usr/bin /usr/sbin /dev /proc /sys /run /graft /etc /lib /lib64 /mnt /var; do
        echo "dir $d 755"
    done
    echo "dir /tmp 1777"
    echo "dir /root 700"
    echo "node /dev/console 600 5 1"
    echo "node /dev/null 666 1 3"
    echo "file /init 755 tools/guest/init"
    echo "file /bin/busybox 755 /bin/busybox"
    echo "file /bin/agent 755 $guest/agent"
    # How the kernel tells the machine of a panic.
    find "$guest/root" -path '*linux-image*/pvpanic.ko' -o -path '*linux-image*/pvpanic-mmio.ko' | while read -r file; do
        echo "file /lib/${file##*/} 644 $file"
    done
    for applet in $(/bin/busybox --list-full); do
        case $applet in
        bin/busybox | linuxrc | init | sbin/init) ;;
        *) echo "link /$applet /bin/busybox" ;;
        esac
    done
}

# Padded, because Linux wants what is appended to begin at a multiple of four bytes.
build_initrd()
{
    "$tool/mkcpio" | gzip -n -6 >"$1.new"
    truncate -s %512 "$1.new"
    mv "$1.new" "$1"
}

# Whether an initrd is there and no older than what goes into it.
fresh()
{
    [ -s "$1" ] && [ -z "$(find tools/guest tools/guest.sh "$tool/mkcpio" $guest/agent -newer "$1" -type f | head -n 1)" ]
}

initrd()
{
    local out=$guest/initrd
    fresh $out && return
    echo "guest: initrd from busybox"
    base_list | build_initrd $out
}

# One line for mkcpio for each file below a directory; the directories of Debian's merged /usr go to their old places.
tree_list()
{
    (cd "$1" && find . -mindepth 1 -printf '%y %P %m %l\n') | while read -r kind name mode target; do
        case $name in usr/share/*) continue ;; esac
        case $kind in
        d) echo "dir /$name $mode" ;;
        f) echo "file /$name $mode $1/$name" ;;
        l) echo "link /$name $target" ;;
        esac
    done
}

# A package and the libraries that it needs; not the programs that those want for being installed.
libraries()
{
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
        grep -v '[<: ]' | grep -E "^(lib|zlib|$1\$)" | sort -u
}

stress()
{
    local out=$guest/initrd-stress package
    fresh $out && return
    echo "guest: initrd with stress-ng"
    for package in $(libraries stress-ng); do
        unpack "$package"
    done
    {
        base_list
        for package in $(libraries stress-ng); do
            tree_list "$guest/root/$package"
        done
    } | build_initrd $out
}

command_archive()
{
    local out=$1 nonce=$2 script=$3 name=${4:-}
    echo "$nonce" >"$out.nonce"
    {
        echo "dir /graft 755"
        echo "file /graft/command 644 $script"
        echo "file /graft/nonce 644 $out.nonce"
    } | "$tool/mkcpio" >"$out"
    rm -f "$out.nonce"
    [ -z "$name" ] || { name_archive "$out.name" "$name" && cat "$out.name" >>"$out" && rm -f "$out.name"; }
}

name_archive()
{
    echo "$2" >"$1.text"
    printf 'dir /graft 755\nfile /graft/name 644 %s\n' "$1.text" | "$tool/mkcpio" >"$1"
    rm -f "$1.text"
}

first_archive()
{
    printf 'dir /graft 755\nfile /graft/first 644 %s\n' "$2" | "$tool/mkcpio" >"$1"
}

# QEMU as it is installed here, with what it links to; not compressed, since only Linux's boot would be slower.
kvm()
{
    local file modules="$guest/root/$(cat $guest/kernel-package)/lib/modules"
    local emulator=/usr/bin/qemu-system-x86_64
    {
        base_list
        for file in /usr/lib /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/share /usr/share/seabios /usr/share/qemu \
            /lib/modules /vm; do
            echo "dir $file 755"
        done
        echo "file $emulator 755 $emulator"
        ldd $emulator | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' | while read -r file; do
            echo "file $file 755 $(readlink -f "$file")"
        done
        for file in /usr/share/seabios/bios-256k.bin /usr/share/qemu/kvmvapic.bin /usr/share/qemu/linuxboot_dma.bin; do
            echo "file $file 644 $file"
        done
        find "$modules" -name irqbypass.ko -o -name kvm.ko -o -name kvm-amd.ko | while read -r file; do
            echo "file /lib/modules/$(basename "$file") 644 $file"
        done
    } | "$tool/mkcpio" >"$1"
}

mkdir -p $guest
what=${1:-}
[ $# -gt 0 ] && shift
case $what in
kernel | initrd | stress) "$what" ;;
command) command_archive "$@" ;;
name) name_archive "$@" ;;
first) first_archive "$@" ;;
kvm) kvm "$@" ;;
unpack) for p in "$@"; do unpack "$p"; done ;;
*) die "usage: see the head of tools/guest.sh" ;;
esac
