#!/bin/bash
# SPDX-License-Identifier: MIT
# Build guests from Debian's packages, under build/guest/. Packages are downloaded and unpacked, never installed.
#   tools/guest.sh kernel                        Debian's cloud kernel: build/guest/bzImage
#   tools/guest.sh kernel amd64|686-pae          its full kernel, or that for i386: build/guest/bzImage-amd64, ...
#   tools/guest.sh vmlinux 686-pae               the same kernel as ELF, decompressed: build/guest/vmlinux-686-pae
#   tools/guest.sh xen                           Debian's Xen hypervisor: build/guest/xen
#   tools/guest.sh initrd                        busybox and the agent: build/guest/initrd
#   tools/guest.sh initrd 686-pae                busybox for i386, without the agent: build/guest/initrd-686-pae
#   tools/guest.sh debian                        a minimal Debian with systemd, by debootstrap: build/guest/initrd-debian
#   tools/guest.sh stress                        the same with stress-ng: build/guest/initrd-stress
#   tools/guest.sh command OUT NONCE FILE [NAME] an archive to append to an initrd: runs the script FILE in the guest
#   tools/guest.sh name OUT NAME                 an archive to append to an initrd: the guest's host name
#   tools/guest.sh first OUT FILE                an archive to append to an initrd: a script that init reads first
#   tools/guest.sh kvm OUT                       busybox, KVM's modules and QEMU: the host of bench/kvm
#   tools/guest.sh unpack PACKAGE...             packages, without their dependencies, into build/guest/root/PACKAGE
set -eu
cd "$(dirname "$0")/.."
top=$PWD
tool=build/release/host/bin
guest=build/guest
listed=''
mirror=http://deb.debian.org/debian # where apt's own sources name none

die()
{
    echo "guest: $*" >&2
    exit 1
}

# apt-get and the like for an architecture (amd64, or i386: with lists and state of its own, below build/guest).
apt_for()
{
    local arch=$1 program=$2 state=$top/$guest/apt-$1
    shift 2
    if [ "$arch" = amd64 ]; then
        "$program" -q -o APT::Sandbox::User="$(id -un)" "$@"
    else
        mkdir -p "$state/lists/partial" "$state/archives/partial"
        : >>"$state/status"
        "$program" -q -o APT::Sandbox::User="$(id -un)" -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
            -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" "$@"
    fi
}

# The lists of another architecture, once a run. One of them may fail: the download says whether it would have been needed.
lists()
{
    [ "$1" = amd64 ] || [ "$listed" = "$1" ] || apt_for "$1" apt-get update >"$guest/apt-$1.log" 2>&1 </dev/null || :
    listed=$1
}

# Download and unpack one package, once: unpack PACKAGE [ARCHITECTURE]. Its directory is then in $to.
unpack()
{
    local package=$1 arch=${2:-amd64} work
    to=$guest/root/$package
    [ "$arch" = amd64 ] || to=$guest/root-$arch/$package
    [ -d "$to" ] && return
    lists "$arch"
    work=$(mktemp -d "$guest/download.XXXXXX")
    if ! (cd "$work" && apt_for "$arch" apt-get download "$package") >"$work/log" 2>&1 </dev/null; then
        tail -n 5 "$work/log" >&2
        rm -rf "$work"
        die "cannot download Debian's package $package; 'apt-get update' may help, or the network is missing"
    fi
    mkdir -p "${to%/*}"
    dpkg-deb -x "$work"/*.deb "$work/root"
    mv "$work/root" "$to"
    rm -rf "$work"
}

depends_on()
{
    apt_for "$2" apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
        sed -n 's/^ *Depends: \([^<]*\)$/\1/p'
}

# kernel [KIND]: cloud-amd64 unless told. The package's name goes to build/guest/kernel-package.
kernel()
{
    local kind=${1:-cloud-amd64} arch=amd64 suffix package
    case $kind in
    cloud-amd64) suffix= ;;
    amd64) suffix=-amd64 ;;
    686-pae) suffix=-686-pae arch=i386 ;;
    *) die "kernels are cloud-amd64, amd64 and 686-pae, not '$kind'" ;;
    esac
    [ -s "$guest/bzImage$suffix" ] && return
    lists $arch
    package=$(depends_on "linux-image-$kind" $arch | grep '^linux-image' | head -n 1)
    [ -n "$package" ] || die "apt knows no package linux-image-$kind; run 'apt-get update' (as root) first"
    echo "guest: Debian's kernel, package $package"
    unpack "$package" $arch
    cp "$to"/boot/vmlinuz-* "$guest/bzImage$suffix.new"
    echo "$package" >"$guest/kernel-package$suffix"
    mv "$guest/bzImage$suffix.new" "$guest/bzImage$suffix"
}

# A number of four bytes at an offset of a file.
number_at()
{
    od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '
}

# The payload of a bzImage, which is xz in Debian's (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). Its
# last four bytes are the kernel's size.
vmlinux()
{
    local image=$guest/bzImage-$1 out=$guest/vmlinux-$1 setup length
    kernel "$1"
    [ -s "$out" ] && [ "$out" -nt "$image" ] && return
    setup=$((($(od -An -tu1 -j $((0x1f1)) -N 1 "$image") + 1) * 512))
    length=$(($(number_at "$image" $((0x24c))) - 4))
    tail -c +$((setup + $(number_at "$image" $((0x248))) + 1)) "$image" | head -c $length | xz -dc >"$out.new" ||
        die "the kernel in $image is not compressed with xz"
    mv "$out.new" "$out"
}

xen()
{
    local package
    [ -s "$guest/xen" ] && return
    package=$(depends_on xen-system-amd64 amd64 | grep '^xen-hypervisor' | head -n 1)
    [ -n "$package" ] || die "apt knows no package xen-system-amd64; run 'apt-get update' (as root) first"
    echo "guest: Debian's Xen, package $package"
    unpack "$package"
    gzip -dc "$to"/boot/xen-*.gz >"$guest/xen.new"
    mv "$guest/xen.new" "$guest/xen"
}

# The list for mkcpio that every initrd begins with: base_list BUSYBOX KERNEL
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
    echo "file /bin/busybox 755 $1"
    # How the kernel tells the machine of a panic.
    [ ! -d "$2" ] || find "$2" -name pvpanic.ko -o -name pvpanic-mmio.ko | while read -r file; do
        echo "file /lib/${file##*/} 644 $file"
    done
    for applet in $(/bin/busybox --list-full); do
        case $applet in
        bin/busybox | linuxrc | init | sbin/init) ;;
        *) echo "link /$applet /bin/busybox" ;;
        esac
    done
}

# The same for amd64, with the agent.
agent_list()
{
    base_list /bin/busybox "$guest/root/$(cat $guest/kernel-package 2>/dev/null || echo none)"
    echo "file /bin/agent 755 $guest/agent"
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
    local out=$guest/initrd${1:+-$1}
    fresh "$out" && return
    echo "guest: initrd from busybox"
    case ${1:-} in
    '') agent_list | build_initrd "$out" ;;
    686-pae)
        kernel 686-pae
        unpack busybox-static i386
        base_list "$to/bin/busybox" "$guest/root-i386/$(cat $guest/kernel-package-686-pae)" | build_initrd "$out" ;;
    *) die "initrds are for amd64 or 686-pae, not '$1'" ;;
    esac
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
        agent_list
        for package in $(libraries stress-ng); do
            tree_list "$guest/root/$package"
        done
    } | build_initrd $out
}

# The directory of this machine's Debian packages, as apt has it.
debian_mirror()
{
    local found
    found=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sed -n 's/^bookworm //p' | head -n 1)
    echo "${found:-$mirror}"
}

# fakechroot writes the links' targets with the root's own path before them.
debian_root()
{
    local root=$top/$guest/root-debian
    [ -d "$root" ] && return
    echo "guest: Debian with systemd, by debootstrap (half a minute)"
    rm -rf "$root.new"
    fakechroot fakeroot debootstrap --variant=minbase --include=systemd-sysv,udev bookworm "$root.new" "$(debian_mirror)" \
        >"$guest/debootstrap.log" 2>&1 </dev/null || {
        tail -n 5 "$guest/debootstrap.log" >&2
        die "debootstrap did not succeed (all it said: $guest/debootstrap.log)"
    }
    mv "$root.new" "$root"
}

# Debian with systemd as init, and a unit that ends the machine when the multi-user target is there. Not compressed.
debian()
{
    local out=$guest/initrd-debian
    fresh $out && return
    PATH=$PATH:/usr/sbin debian_root
    {
        tree_list $guest/root-debian | grep -Ev '^[a-z]+ /var/(cache|lib/apt|lib/dpkg)/' |
            sed "s| /[^ ]*/$guest/root-debian.new/| /|" # links of fakechroot's; the tree may have been moved since
        echo "node /dev/console 600 5 1"
        echo "node /dev/null 666 1 3"
        echo "link /init /lib/systemd/systemd"
        echo "dir /etc/systemd/system.conf.d 755"
        echo "file /etc/systemd/system.conf.d/slow.conf 644 tools/guest/slow.conf"
        echo "file /etc/systemd/system/report.service 644 tools/guest/report.service"
        echo "link /etc/systemd/system/multi-user.target.wants/report.service ../report.service"
    } | "$tool/mkcpio" >$out.new
    mv $out.new $out
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
        agent_list
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
kernel | vmlinux | xen | initrd | stress | debian) "$what" "$@" ;;
command) command_archive "$@" ;;
name) name_archive "$@" ;;
first) first_archive "$@" ;;
kvm) kvm "$@" ;;
unpack) for p in "$@"; do unpack "$p"; done ;;
*) die "usage: see the head of tools/guest.sh" ;;
esac
