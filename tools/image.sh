#!/bin/bash
# SPDX-License-Identifier: MIT
# Put together what Graft boots: one directory with a file for each boot module and a list of them in boot order.
# The ROM name of a module is the name of its file.
#   tools/image.sh dir OUT          from the settings in the environment (below), OUT/modules being the list
#   tools/image.sh iso OUT.iso      an image that GRUB boots under BIOS and UEFI, with one VM (same settings)
# Settings: mode (release), vms (1), cpus (1), memory_mib (256), words (the guest's command line),
#   kernel (build/guest/bzImage), initrd (build/guest/initrd, or none), initrd1.., kernel1.., words1.. override them for one VM,
#   attributes1.. (more attributes of one VM's configuration, such as fault="write": hosts/micro/config.h),
#   core_words (core's command line), restart (never, on-fault or always; on-fault),
#   vm_cpu (the VMs' CPUs; 1-63: all but the first, which is for drivers and services; alone if there is no other)
set -eu

: "${mode:=release}" "${vms:=1}" "${cpus:=1}" "${memory_mib:=256}" "${words:=console=ttyS0}"
: "${kernel:=build/guest/bzImage}" "${initrd:=build/guest/initrd}" "${core_words:=}" "${restart:=on-fault}" "${vm_cpu:=1-63}"

# Quoted replacements: bash 5.2 takes a bare & in them for what matched.
xml_text()
{
    local s=$1
    s=${s//&/"&amp;"}
    s=${s//</"&lt;"}
    s=${s//>/"&gt;"}
    s=${s//\"/"&quot;"}
    printf '%s' "$s"
}

vm_start()
{
    local n=$1 own_initrd='' rom='' attributes=attributes$1 own_words=words$1 own_kernel=kernel$1 module=kernel
    [ -z "${!own_kernel:-}" ] || module=kernel$n
    if [ "$initrd" != none ]; then
        own_initrd=" initrd=\"initrd$n\""
        rom="<service name=\"ROM\" label=\"initrd$n\"><parent/></service>"
    fi
    cat <<END
  <start name="vm$n" binary="vmm" ram="$((memory_mib + 24))M" kernel="6M" priority="32" cpu="$vm_cpu" authority="vm" restart="$restart">
    <config memory="${memory_mib}M" cpus="$cpus" kernel="kernel"$own_initrd cmdline="$(xml_text "${!own_words:-$words}")" ${!attributes:-}/>
    <route>
      <service name="ROM" label="kernel"><parent label="$module"/></service>
      $rom
      <service name="terminal"><child name="terminal" label="vm$n"/></service>
      <service name="rtc"><child name="rtc"/></service>
    </route>
  </start>
END
}

# The format: doc/framework.md.
configuration()
{
    local n
    cat <<END
<config>
  <start name="uart" ram="2M" kernel="1M" priority="100" restart="always">
    <provides><service name="terminal"/></provides>
    <route>
      <service name="IO_PORT" base="0x3f8" size="8"><parent/></service>
      <service name="IRQ" base="4" size="1"><parent/></service>
    </route>
  </start>
  <start name="rtc" ram="2M" kernel="1M" priority="100" restart="always">
    <provides><service name="rtc"/></provides>
    <route><service name="IO_PORT" base="0x70" size="2"><parent/></service></route>
  </start>
  <start name="terminal" ram="4M" kernel="1M" priority="90" authority="log" restart="always">
    <provides><service name="terminal"/></provides>
    <route><service name="terminal"><child name="uart"/></service></route>
  </start>
END
    for n in $(seq "$vms"); do
        vm_start "$n"
    done
    echo '</config>'
}

place()
{
    ln -sfn "$(readlink -f "$2")" "$1"
}

# Our own guests get their VM's name as host name; what a user brings stays as it is.
place_initrd()
{
    case $3 in
    build/guest/*)
        rm -f "$2"
        tools/guest.sh name "$2.name" "vm$1"
        cat "$3" "$2.name" >"$2"
        rm -f "$2.name" ;;
    *) place "$2" "$3" ;;
    esac
}

image_dir()
{
    local out=$1 n name own
    mkdir -p "$out"
    for name in core init uart rtc terminal vmm; do
        [ -e "build/$mode/bin/$name" ] && place "$out/$name" "build/$mode/bin/$name"
    done
    configuration >"$out/config"
    place "$out/kernel" "$kernel"
    {
        echo "core $core_words"
        for name in init config uart rtc terminal vmm kernel; do
            [ -e "$out/$name" ] && echo "$name"
        done
        for n in $(seq "$vms"); do
            own=kernel$n
            if [ -n "${!own:-}" ]; then
                place "$out/$own" "${!own}"
                echo "$own"
            fi
            [ "$initrd" = none ] && continue
            own=initrd$n
            place_initrd "$n" "$out/$own" "${!own:-$initrd}"
            echo "$own"
        done
    } >"$out/modules"
}

image_iso()
{
    local out=$1 work name rest
    work=$(mktemp -d build/iso.XXXXXX)
    mkdir -p "$work/tree/boot/grub"
    image_dir "$work/modules"
    cp "build/$mode/graft.elf32" "$work/tree/boot/graft"
    {
        echo 'set timeout=0'
        echo 'serial --unit=0 --speed=115200'
        echo 'terminal_input console serial'
        echo 'terminal_output console serial'
        echo 'menuentry "Graft" {'
        echo '  multiboot2 /boot/graft pool='$((16 + 8 * vms))
        # --nounzip: an initrd of several archives is not a gzip file to its end, and GRUB would refuse it.
        while read -r name rest; do
            cp -L "$work/modules/$name" "$work/tree/boot/$name"
            echo "  module2 --nounzip /boot/$name $name $rest"
        done <"$work/modules/modules"
        echo '}'
    } >"$work/tree/boot/grub/grub.cfg"
    if ! grub-mkrescue -o "$out.new" "$work/tree" >"$work/log" 2>&1; then
        tail -n 5 "$work/log" >&2
        rm -rf "$work"
        return 1
    fi
    mv "$out.new" "$out"
    rm -rf "$work"
}

case ${1:-} in
dir) image_dir "$2" ;;
iso) image_iso "$2" ;;
*) echo "usage: see the head of tools/image.sh" >&2; exit 2 ;;
esac
